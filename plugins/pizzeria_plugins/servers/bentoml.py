"""Server `bentoml`: the bundle as a BentoML service; `pizzeria_plugins.servers.service` is what it loads."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from pizzeria.contracts import Release, Rendered
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.servers.settings import Settings

DRAIN_S = 5
"""Seconds that the end of a service may take longer than `serving.timeout_s`."""


class Options(PluginOptions):
    """Options of the `bentoml` server."""

    workers: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Worker processes; each holds the model once. Without it: one for every four cores, "
        "and one for each core where rows are served.",
    )
    parallel: int | None = Field(
        default=None,
        ge=1,
        description="Requests that one worker computes at the same time; the others wait. "
        "Without it: as many as there are cores for each worker.",
    )
    threads: int = Field(
        default=1,
        ge=1,
        description="CPU threads that compute one request. 1 answers most requests a second; more answer one sooner.",
    )


def render(release: Release, host: str, port: int) -> Rendered:
    """`bentoml serve` on `host:port`; everything that the service needs to know is in its environment.

    The command is BentoML's own, so that its supervisor starts, watches and restarts the workers.
    """
    serving, options = release.serving, _options(release)
    told = settings(release).environment()
    home = hashlib.sha256(json.dumps([told, release.sha256]).encode()).hexdigest()[:12]
    return Rendered(
        commands=[
            [
                *(release.python, "-m", "bentoml", "serve", "pizzeria_plugins.servers.service:service"),
                *("--host", host, "--port", str(port)),
                # On SIGTERM requests at work are answered first, and what open connections send for some seconds more.
                *("--timeout-graceful-shutdown", str(math.ceil(serving.timeout_s) + DRAIN_S)),
            ]
        ],
        environment={
            **told,
            # BentoML keeps its metrics here. Services that share the folder would wipe each other's, and there are two
            # while a newer one takes over.
            "BENTOML_HOME": str((release.state / release.name / "bentoml" / home).absolute()),
            "BENTOML_DO_NOT_TRACK": "True",
            "PYTHONSAFEPATH": "1",  # a file that lies in the working folder must not stand in for a library
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": str(options.threads),
        },
    )


def settings(release: Release) -> Settings:
    """What the service is told of the bundle, the limits and the prediction log."""
    serving = release.serving
    options = _options(release)
    told = Settings(
        bundle=str(release.bundle.absolute()),
        max_body_mb=serving.max_body_mb,
        max_megapixels=serving.max_megapixels,
        max_rows=serving.max_rows,
        max_concurrency=serving.max_concurrency,
        timeout_s=serving.timeout_s,
        workers=options.workers,
        rows=release.task.startswith("tabular"),
        parallel=options.parallel,
        threads=options.threads,
        formats=list(serving.formats),
        keys_from=serving.keys_from,
        cors=list(serving.cors),
        hosts=None if serving.hosts is None else list(serving.hosts),
        pages=serving.pages,
        metrics=serving.metrics,
        feedback=serving.feedback,
        rooms=None if serving.verification.rooms is None else str(Path(serving.verification.rooms).absolute()),
        room_prior=serving.verification.prior,
        log=None,
        log_folder=str(release.log_folder.absolute()),
        public_keys=[str(path) for path in release.public_keys],
        signatures=None if release.signatures is None else str(release.signatures),
    )
    log = serving.log
    if log is not None:
        told = replace(
            told,
            log=log.use,
            log_options=_plain(log.options),
            log_photos=log.photos,
            log_keep=log.keep,
            log_redact=list(log.redact),
        )
    return told


def _options(release: Release) -> Options:
    return release.serving.options if release.serving.options is not None else Options()


def _plain(options: Any) -> dict[str, Any]:
    return options.model_dump(mode="json", by_alias=True) if options is not None else {}
