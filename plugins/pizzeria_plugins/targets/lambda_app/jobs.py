"""What runs again and again: functions from container images, and EventBridge rules that call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizzeria.contracts import Release
from pizzeria_plugins.targets.lambda_app.account import Account, absent_is_fine, code_of, reporting
from pizzeria_plugins.targets.lambda_app.files import SCHEDULED_S, job_command, jobs, rate
from pizzeria_plugins.targets.lambda_app.function import Function, Wanted
from pizzeria_plugins.targets.lambda_app.options import Options

WHATS = ("monitor", "maintain")
_MEMORY_MB = 3008
_STATEMENT = "pizzeria-schedule"


def bring_jobs(
    account: Account, function: str, release: Release, options: Options, configuration: Mapping[str, Any]
) -> None:
    """Make what the schedule asks for, and delete what it no longer does.

    Args:
        configuration: Of the service's function; role, environment and key are taken from it.
    """
    wanted = jobs(release, options)
    for what in WHATS:
        if what not in wanted:
            remove_job(account, release.name, function, what, options)
            continue
        own = options.model_copy(update={"image": wanted[what], "form": "image", "bucket": None})
        job = Function(account, job_name(function, what), own)
        job.check_ours(release.name)
        more = {"MemorySize": _MEMORY_MB, "Timeout": SCHEDULED_S, "EphemeralStorage": {"Size": 4096}}
        job.bring_to(
            Wanted(release.name, None, {**configuration, **more}, {"ImageConfig": job_command(what, release.name)})
        )
        _rule(account, job.name, rate(getattr(release.schedule, what)))


def remove_job(account: Account, deployment: str, function: str, what: str, options: Options) -> None:
    """Delete the rule and the function of one job; what is somebody else's, or not there, is left alone."""
    name = job_name(function, what)
    events = account.client("events")
    with reporting(f"the rule {name} cannot be deleted"), absent_is_fine():
        targets = events.list_targets_by_rule(Rule=name)["Targets"]
        if any(one["Id"] == _STATEMENT for one in targets):
            events.remove_targets(Rule=name, Ids=[_STATEMENT])
            events.delete_rule(Name=name)
    job = Function(account, name, options)
    if job.owner() == deployment:
        job.delete()


def job_name(function: str, what: str) -> str:
    """Name of a job's function, and of its rule."""
    return f"{function}-{what}"


def _rule(account: Account, name: str, schedule: str) -> None:
    from botocore.exceptions import ClientError

    events, functions = account.client("events"), account.client("lambda")
    with reporting(f"the rule {name} cannot be made"):
        rule = events.put_rule(Name=name, ScheduleExpression=schedule, State="ENABLED")["RuleArn"]
        arn = functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        events.put_targets(Rule=name, Targets=[{"Id": _STATEMENT, "Arn": arn}])
        try:
            functions.add_permission(
                FunctionName=name,
                StatementId=_STATEMENT,
                Action="lambda:InvokeFunction",
                Principal="events.amazonaws.com",
                SourceArn=rule,
            )
        except ClientError as error:
            if code_of(error) != "ResourceConflictException":  # it is there already
                raise
