"""Target `aws_lambda`: the service as a function of AWS, behind an alias that points to one version of it.

A new bundle becomes a new version. That is asked for its sha256 and for its golden answer before the alias moves; until
then, and whenever that fails, everybody is served by the version before.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pizzeria.atomic import write_json
from pizzeria.contracts import DeploymentStatus, Observation, Progress, Release, Rendered
from pizzeria.errors import DeploymentError
from pizzeria.shipment import secret_names, values_of
from pizzeria_plugins.functions.packing import Built, build_zip
from pizzeria_plugins.targets.clouds.kept import held
from pizzeria_plugins.targets.lambda_app import calls, files
from pizzeria_plugins.targets.lambda_app.access import bring_log, bring_role, remove_role, remove_uploads
from pizzeria_plugins.targets.lambda_app.account import account_of, reporting
from pizzeria_plugins.targets.lambda_app.files import ALIAS, STAGED
from pizzeria_plugins.targets.lambda_app.function import Function, Wanted
from pizzeria_plugins.targets.lambda_app.jobs import WHATS, bring_jobs, job_name, remove_job
from pizzeria_plugins.targets.lambda_app.options import Options

__all__ = [
    "LOCK",
    "SCHEDULES",
    "Options",
    "apply",
    "build",
    "observe",
    "remove",
    "render",
    "settle",
    "shift",
    "stage",
    "status",
]

SCHEDULES = True
LOCK = "lambda"
_STATE = "deployment.json"


def render(release: Release, options: Options) -> Rendered:
    """The handler, its settings, a SAM template and policies; and the commands that deploy them without Pizzeria.

    Raises:
        DeploymentError: Lambda cannot run the release; names the key to change.
    """
    return Rendered(files=files.render_files(release, options), commands=files.commands(release, options))


def build(release: Release, options: Options, folder: Path, progress: Progress) -> None:
    """Write `function.zip`, or for an image the folder `function/` with what it holds; and `monitor/`, where it is
    scheduled, of which its image is built.

    Raises:
        DeploymentError: it is larger than Lambda takes, and what is large is named; or nobody knows the run that the
            monitor needs.
    """
    built = _zip(release, options, folder / files.ZIP)
    progress.say(f"{built.zipped / 1e6:.1f} MB zipped, {built.unzipped / 1e6:.1f} MB unzipped: {built.largest()}")
    if options.form == "image":
        shutil.rmtree(folder / "function", ignore_errors=True)
        with zipfile.ZipFile(built.path) as archive:
            archive.extractall(folder / "function")  # nosemgrep: extract  # it was written a line above
        built.path.unlink()
    if release.schedule.monitor is not None:
        _write_monitor(release, options, folder / "monitor")
        progress.say(f"docker build -t {options.monitor_image or 'NAME:TAG'} {folder / 'monitor'}")


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Publish the bundle as a version, ask it, and let the alias point to it.

    Raises:
        DeploymentError: it does not come up, or answers otherwise than the bundle must; the alias is as it was.
    """
    with held(release.state, release.name) as folder:
        function, version = _published(release, options, folder, progress)
        live, staged, share = function.serving()
        calls.check(function.account, function.name, version, release)
        there = live == version and not share
        if not there:
            function.point(ALIAS, version)
        if staged:
            function.unstage()
        address = function.open_url() or function.address()
        function.drop_old()
        detail = f"version {version}" + (", was live already" if there else "")
        return DeploymentStatus("live", address, release.sha256, detail)


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """How it is now, from the alias and from what `/readyz` answers behind it."""
    function = _function(name, options)
    if not function.exists():
        return DeploymentStatus("absent")
    live, staged, share = function.serving()
    if not live:
        return DeploymentStatus("starting", detail=f"no version of {function.name} was ever live")
    address = function.address()
    answer = calls.ask(function.account, function.name, live, calls.event("GET", "/readyz"))
    if answer.status != 200:
        return DeploymentStatus("dead", address, detail=answer.trouble or f"/readyz answers {answer.status}")
    detail = f"version {live}"
    if staged:
        detail += f"; version {staged} is staged and gets {share:.0%}"
    return DeploymentStatus("live", address, str(answer.json().get("sha256", "")), detail)


def remove(name: str, options: Options, state: Path) -> None:
    """Delete the function, its schedule, the role that was made for it and its zips in the bucket; its log stays.

    Nothing happens where there is none.
    """
    with held(state, name) as folder:
        function = _function(name, options)
        function.check_ours(name)
        for what in WHATS:
            remove_job(function.account, name, function.name, what, options)
        function.delete()
        if options.role is None:
            remove_role(function.account, name, function.name)
        if options.bucket is not None:
            remove_uploads(function.account, function.name, options.bucket)
        shutil.rmtree(folder, ignore_errors=True)


def stage(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Publish the bundle as a version that gets no request yet; the alias `staged` points to it.

    Raises:
        DeploymentError: nothing is live, or the version does not come up or answers otherwise than the bundle must.
    """
    with held(release.state, release.name) as folder:
        before = _function(release.name, options)
        if not before.exists() or not before.serving()[0]:
            raise DeploymentError(
                f"nothing of {release.name} is live on Lambda, so nothing can be staged beside it",
                hint="deploy it once without deployment.rollout",
            )
        function, version = _published(release, options, folder, progress)
        calls.check(function.account, function.name, version, release)
        live, staged, _ = function.serving()
        if version != live and version != staged:
            function.point(ALIAS, live)
            function.point(STAGED, version)
        _remember(folder, release, datetime.now(UTC))
        return DeploymentStatus("live", f"{function.name}:{version}", release.sha256, f"version {version} is staged")


def shift(name: str, options: Options, state: Path, percent: int) -> None:
    """Let the alias send so much of its traffic to the staged version.

    Raises:
        DeploymentError: nothing is staged.
    """
    with held(state, name):
        function = _function(name, options)
        live, staged = _both(function)
        function.point(ALIAS, live, {staged: percent / 100} if percent else None)


def observe(
    name: str, options: Options, state: Path, sample: tuple[str, bytes], probes: int
) -> tuple[Observation, Observation]:
    """Ask both versions the golden request, and add what CloudWatch counted of each since the staging.

    CloudWatch is some minutes late, and counts what failed as a function alone, not answers of 500.
    """
    function = _function(name, options)
    live, staged = _both(function)
    kept = _recall(state / name)
    sent = calls.golden(sample, kept.get("keys_from"))
    since = datetime.fromisoformat(kept["since"]) if kept.get("since") else datetime.now(UTC) - timedelta(hours=1)
    seen = [_observed(function, version, sent, probes, since) for version in (staged, live)]
    return seen[0], seen[1]


def settle(name: str, options: Options, state: Path, keep: bool, progress: Progress) -> DeploymentStatus:
    """Let the alias point to the staged version alone (`keep`), or to the one before alone."""
    with held(state, name):
        function = _function(name, options)
        live, staged, share = function.serving()
        if staged and keep:
            function.point(ALIAS, staged)
        elif live and share:
            function.point(ALIAS, live)
        if staged:
            function.unstage()
            function.drop_old()
    return status(name, options, state)


def _published(release: Release, options: Options, folder: Path, progress: Progress) -> tuple[Function, str]:
    """The function with the release as its newest version, which no request reaches yet."""
    files.check_release(release, options)
    secrets = values_of(secret_names(release), os.environ)
    watching = values_of(secret_names(release, watching=True), os.environ)
    account = account_of(options)
    function = Function(account, files.function_name(release.name, options), options)
    function.check_ours(release.name)
    code = None
    if options.form == "zip":
        built = _zip(release, options, folder / files.ZIP)
        code = built.path
        progress.say(f"the zip has {built.zipped / 1e6:.1f} MB, and {built.unzipped / 1e6:.1f} MB unzipped")
    try:
        groups = [bring_log(account, function.name, options)]
        groups += [bring_log(account, job_name(function.name, what), options) for what in files.jobs(release, options)]
        role = bring_role(account, release.name, function.name, groups, options)
        configuration = {
            "Role": role,
            "MemorySize": options.memory_mb,
            "Timeout": options.timeout_s,
            "Environment": {"Variables": {**options.environment, **secrets}},
            "KMSKeyArn": options.kms_key or "",
        }
        packed = {"Runtime": f"python{options.python_there}", "Handler": files.HANDLER} if code is not None else {}
        progress.say(f"publishing a version of {function.name} in {account.region}")
        function.bring_to(Wanted(release.name, code, configuration, packed))
        version = function.publish(release.sha256)
        told = {**configuration, "Environment": {"Variables": {**options.environment, **watching}}}
        bring_jobs(account, function.name, release, options, told)
    finally:
        if code is not None:
            code.unlink(missing_ok=True)
    _remember(folder, release)
    return function, version


def _write_monitor(release: Release, options: Options, folder: Path) -> None:
    from pizzeria_plugins.targets.container_image.context import context_files, write_monitor_context
    from pizzeria_plugins.targets.container_image.dockerfile import monitor_dockerfile

    platform: Literal["linux/amd64", "linux/arm64"] = (
        "linux/arm64" if options.architecture == "arm64" else "linux/amd64"
    )
    texts = context_files(release, lock="monitor", platform=platform, store=True)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in {"Dockerfile": monitor_dockerfile(release, platform=platform), **texts}.items():
        (folder / file).write_text(text)
    write_monitor_context(release, folder)


def _zip(release: Release, options: Options, path: Path) -> Built:
    return build_zip(
        release,
        front=files.front_files(release),
        lock="lambda",
        modules=files.MODULES,
        path=path,
        cache=release.state / ".functions",
        python=options.python_there,
        machine=options.machine,
        without=files.UNUSED,
        limits=files.LIMITS if options.form == "zip" else None,
    )


def _function(name: str, options: Options) -> Function:
    return Function(account_of(options), files.function_name(name, options), options)


def _both(function: Function) -> tuple[str, str]:
    live, staged, _ = function.serving()
    if not live or not staged:
        raise DeploymentError(f"no version of {function.name} is staged", hint="stage one first: pizzeria deploy")
    return live, staged


def _observed(function: Function, version: str, sent: dict[str, Any], probes: int, since: datetime) -> Observation:
    answers = [calls.ask(function.account, function.name, version, sent) for _ in range(probes)]
    good = [one for one in answers if one.status and one.status < 500]
    told = {str(one.json().get("model", "")) for one in good}
    times = sorted(1000 * one.seconds for one in good)
    requests, errors = _counted(function, version, since)
    return Observation(
        sha256=told.pop() if len(told) == 1 else ", ".join(sorted(told)),
        requests=len(answers) + requests,
        errors=len(answers) - len(good) + errors,
        p95_ms=times[min(len(times) - 1, int(0.95 * len(times)))] if times else float("nan"),
    )


def _counted(function: Function, version: str, since: datetime) -> tuple[int, int]:
    """Invocations and errors of a version behind the alias, as far as CloudWatch may be asked."""
    metrics = function.account.client("cloudwatch")
    dimensions = [
        {"Name": "FunctionName", "Value": function.name},
        {"Name": "Resource", "Value": f"{function.name}:{ALIAS}"},
        {"Name": "ExecutedVersion", "Value": version},
    ]
    found = []
    for metric in ("Invocations", "Errors"):
        try:
            with reporting("CloudWatch cannot be asked"):
                told = metrics.get_metric_statistics(
                    Namespace="AWS/Lambda",
                    MetricName=metric,
                    Dimensions=dimensions,
                    StartTime=since,
                    EndTime=datetime.now(UTC),
                    Period=60,
                    Statistics=["Sum"],
                )
        except DeploymentError:
            return 0, 0
        found.append(int(sum(point["Sum"] for point in told.get("Datapoints", []))))
    return found[0], found[1]


def _remember(folder: Path, release: Release, since: datetime | None = None) -> None:
    kept = {"keys_from": release.serving.keys_from, "since": since.isoformat() if since else None}
    write_json(folder / _STATE, kept)


def _recall(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / _STATE).read_text()))
    except (OSError, ValueError):
        return {}
