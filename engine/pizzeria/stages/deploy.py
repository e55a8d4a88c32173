"""Puts the bundle live on the spec's target; runs again when the service has died or answers with another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pizzeria.deployments import put_live, status_of
from pizzeria.errors import PizzeriaError
from pizzeria.runs.store import Result, Store
from pizzeria.signing.keys import trusted
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job, Outcome

NAME = "deploy"
INPUTS = ("package",)
AFTER: tuple[str, ...] = ()
RESUMES = False
REFUSAL: type[PizzeriaError] | None = None
SHARED = False


def reads(spec: Spec) -> dict[str, Any]:
    resolved = spec.resolved()
    keys = [str(path) for path in trusted(spec.signing.public_keys)]
    asked = {"signing": {"public_keys": keys}} if keys else {}
    return {name: resolved[name] for name in ("name", "serving", "deployment")} | asked


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    log = spec.serving.log
    logs = [] if log is None else [("prediction_logs", log.use)]
    return [("targets", spec.deployment.use), ("servers", spec.serving.use), *logs]


def data(spec: Spec) -> Sequence[Path]:
    rooms = spec.serving.verification.rooms
    keys = trusted(spec.signing.public_keys)
    return [*keys] if rooms is None else [Path(rooms).expanduser(), *keys]


def run(job: Job) -> Outcome:
    package = job.inputs["package"]
    bundle, sha256 = package.folder / "bundle", str(package.facts["sha256"])
    status = put_live(job.spec, job.run, bundle, sha256, job.store, job.progress)
    return Outcome(asdict(status))


def expired(spec: Spec, result: Result, store: Store) -> str | None:
    """Why the service that was put live no longer holds."""
    status = status_of(spec.name, spec.deployment, store)
    if status.state != "live":
        return f"the service is {status.state}"
    if status.sha256 != result.facts["sha256"]:
        return "the service answers with another model"
    return None
