"""What is rendered for Lambda: the handler, the settings, a SAM template, policies, and how to use them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import secret_names
from pizzeria_plugins.functions import packages
from pizzeria_plugins.functions.app import SETTINGS
from pizzeria_plugins.functions.packing import Limits
from pizzeria_plugins.functions.release import check, service_settings
from pizzeria_plugins.targets.container_image.dockerfile import PYTHON
from pizzeria_plugins.targets.lambda_app.options import Options

PLATFORM = "AWS Lambda"
ALIAS = "live"
STAGED = "staged"
HANDLER = "lambda_function.handler"
ZIP = "function.zip"
TAG = "pizzeria"
MODULES = ("pizzeria_plugins.functions.lambda_front",)
UNUSED = packages.UNUSED | {"click"}
LIMITS = Limits(
    PLATFORM, 250 * 1024 * 1024, 250 * 1024 * 1024, "use a smaller model, or deployment.form=image (up to 10 GB)"
)
DIRECT_ZIP = 50 * 1024 * 1024
"""Bytes that may be uploaded without a bucket."""
_ENVIRONMENT = 4096
SCHEDULED_S = 900
_RATES = {"m": ("minute", "minutes"), "h": ("hour", "hours"), "d": ("day", "days")}


def function_name(name: str, options: Options) -> str:
    """Of the service's function."""
    return options.function_name or name[:50]


def front_files(release: Release) -> dict[str, str]:
    """Files of the function that are no library's: the handler and the service's settings."""
    return {"lambda_function.py": _HANDLER, SETTINGS: service_settings(release, PLATFORM)}


def check_release(release: Release, options: Options) -> None:
    """Refuse what Lambda cannot run.

    Raises:
        DeploymentError: names the key to change.
    """
    check(release, PLATFORM)
    names = secret_names(release)
    if sum(len(name) + len(value) for name, value in options.environment.items()) > _ENVIRONMENT - 512 * len(names):
        raise DeploymentError(
            f"deployment.environment is too large: Lambda takes {_ENVIRONMENT} bytes, secrets included",
            hint="leave some out, or let the service read them from elsewhere",
        )
    twice = sorted(set(names) & set(options.environment))
    if twice:
        raise DeploymentError(
            f"{twice[0]} is a secret of the service, and deployment.environment would write it into files",
            hint=f"leave it out there, and export {twice[0]} where you deploy",
        )
    for what, image in jobs(release, options).items():
        if image is None:
            raise DeploymentError(
                f"deployment.schedule.{what}: what it needs is too large for a zip of {PLATFORM}",
                hint=f"write deployment.{what}_image=... (a container image), or leave the schedule out",
            )


def jobs(release: Release, options: Options) -> dict[str, str | None]:
    """What is to run again and again, with its image."""
    images = {"monitor": options.monitor_image, "maintain": options.maintain_image}
    return {what: image for what, image in images.items() if getattr(release.schedule, what) is not None}


def rate(interval: str) -> str:
    """A schedule's interval in EventBridge's words.

    Example:
        >>> rate("1h"), rate("15m"), rate("7d")
        ('rate(1 hour)', 'rate(15 minutes)', 'rate(7 days)')
    """
    count = int(interval[:-1])
    return f"rate({count} {_RATES[interval[-1]][count != 1]})"


def job_command(what: str, name: str) -> dict[str, Any]:
    """How a container image runs one command of Pizzeria for each event: see `functions.lambda_command`."""
    return {
        "EntryPoint": [PYTHON, "-m", "pizzeria_plugins.functions.lambda_command"],
        "Command": [what, name],
    }


def policy(partition: str = "aws") -> dict[str, Any]:
    """What the function may do: write its own log.

    Streams are made by Lambda in the group of the function, which the deployment makes.
    """
    return policy_of([f"arn:{partition}:logs:*:*:log-group:/aws/lambda/*"])


def policy_of(log_groups: Sequence[str]) -> dict[str, Any]:
    """The same for these groups alone, by their ARNs."""
    return _statement(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{arn}:*" for arn in log_groups])


TRUST: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


def render_files(release: Release, options: Options) -> dict[str, str]:
    """All files, by name.

    Raises:
        DeploymentError: Lambda cannot run it.
    """
    check_release(release, options)
    import yaml

    name = function_name(release.name, options)
    files = {
        **({f"function/{path}": text for path, text in front_files(release).items()}),
        "template.yaml": yaml.safe_dump(template(release, options), sort_keys=False, width=1000),
        "deployer-policy.json": _json(_deployer_policy(name, options)),
        "README.md": _readme(name, options),
    }
    if options.role is None:
        files["role-trust.json"] = _json(TRUST)
        files["role-policy.json"] = _json(policy())
    if options.form == "image":
        files["Dockerfile"] = _DOCKERFILE
    return files


def commands(release: Release, options: Options) -> list[list[str]]:
    """How to deploy the same without Pizzeria, with AWS's own programs."""
    stack = f"pizzeria-{function_name(release.name, options)}".replace("_", "-")
    region = [] if options.region is None else ["--region", options.region]
    out = []
    if options.form == "image":
        assert options.image is not None
        out += [["docker", "build", "--tag", options.image, "."], ["docker", "push", options.image]]
    bucket = ["--resolve-s3"] if options.bucket is None else ["--s3-bucket", options.bucket]
    secrets = [f"{parameter}=${secret}" for secret, parameter in parameters(release).items()]
    overrides = ["--parameter-overrides", *secrets] if secrets else []
    return [
        *out,
        [
            *("sam", "deploy", "--template-file", "template.yaml", "--stack-name", stack),
            *("--capabilities", "CAPABILITY_IAM", *bucket, *region, *overrides),
        ],
    ]


def parameters(release: Release) -> dict[str, str]:
    """Names of the template's parameters by the secrets that they carry; they take letters and digits alone."""
    return {
        name: f"Secret{number}{''.join(filter(str.isalnum, name.title()))}"
        for number, name in enumerate(secret_names(release, watching=True), start=1)
    }


def template(release: Release, options: Options) -> dict[str, Any]:
    """The SAM template, as plain data."""
    name = function_name(release.name, options)
    secrets = parameters(release)
    watching: dict[str, Any] = {**options.environment, **{key: {"Ref": ref} for key, ref in secrets.items()}}
    own = {*options.environment, *secret_names(release)}
    variables = {key: value for key, value in watching.items() if key in own}
    group = f"/aws/lambda/{name}"
    function: dict[str, Any] = {
        "FunctionName": name,
        "Description": f"bundle {release.sha256}",
        **_code(options),
        "Architectures": [options.architecture],
        "MemorySize": options.memory_mb,
        "Timeout": options.timeout_s,
        "AutoPublishAlias": ALIAS,
        "Tags": {TAG: release.name},
        "LoggingConfig": {"LogGroup": {"Ref": "Log"}},
    }
    if options.role is not None:
        function["Role"] = options.role
    if variables:
        function["Environment"] = {"Variables": variables}
    if options.kms_key is not None:
        function["KmsKeyArn"] = options.kms_key
    if options.url != "none":
        function["FunctionUrlConfig"] = {"AuthType": "NONE" if options.url == "public" else "AWS_IAM"}
    resources: dict[str, Any] = {
        "Log": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": group, "RetentionInDays": options.log_retention_days},
        },
        "Service": {"Type": "AWS::Serverless::Function", "Properties": function},
    }
    for what, image in jobs(release, options).items():
        resources[what.title()] = {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "FunctionName": f"{name}-{what}",
                "PackageType": "Image",
                "ImageUri": image,
                "ImageConfig": job_command(what, release.name),
                "MemorySize": 3008,
                "Timeout": SCHEDULED_S,
                "EphemeralStorage": {"Size": 4096},
                **({"Role": options.role} if options.role is not None else {}),
                **({"Environment": {"Variables": watching}} if watching else {}),
                "Events": {
                    "Again": {"Type": "Schedule", "Properties": {"Schedule": rate(getattr(release.schedule, what))}}
                },
                "Tags": {TAG: release.name},
            },
        }
    out: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Description": f"The model {release.name}, served by Pizzeria",
    }
    if secrets:
        out["Parameters"] = {
            ref: {"Type": "String", "NoEcho": True, "Description": f"The value of {key}"}
            for key, ref in secrets.items()
        }
    return {**out, "Resources": resources}


def _code(options: Options) -> dict[str, Any]:
    if options.form == "image":
        return {"PackageType": "Image", "ImageUri": options.image}
    return {"CodeUri": ZIP, "Handler": HANDLER, "Runtime": f"python{options.python_there}"}


def _deployer_policy(name: str, options: Options) -> dict[str, Any]:
    """What `pizzeria deploy` itself needs to be allowed."""
    on_function = [
        *("AddPermission", "CreateAlias", "CreateFunction", "CreateFunctionUrlConfig", "DeleteAlias", "DeleteFunction"),
        *("DeleteFunctionUrlConfig", "GetAlias", "GetFunction", "GetFunctionConfiguration", "GetFunctionUrlConfig"),
        *("InvokeFunction", "ListTags", "ListVersionsByFunction", "PublishVersion", "RemovePermission", "TagResource"),
        *("UpdateAlias", "UpdateFunctionCode", "UpdateFunctionConfiguration", "UpdateFunctionUrlConfig"),
    ]
    statements = [
        _allow([f"lambda:{one}" for one in on_function], f"arn:aws:lambda:*:*:function:{name}*"),
        _allow(["logs:CreateLogGroup", "logs:PutRetentionPolicy"], f"arn:aws:logs:*:*:log-group:/aws/lambda/{name}*"),
        _allow(["cloudwatch:GetMetricStatistics"], "*"),
    ]
    if options.role is None:
        on_role = [f"iam:{one}" for one in ("CreateRole", "DeleteRole", "GetRole", "PassRole", "TagRole")]
        on_role += ["iam:DeleteRolePolicy", "iam:PutRolePolicy"]
        statements.append(_allow(on_role, f"arn:aws:iam::*:role/pizzeria-{name}"))
    else:
        statements.append(_allow(["iam:PassRole"], options.role))
    if options.bucket is not None:
        objects = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
        statements.append(_allow(objects, f"arn:aws:s3:::{options.bucket}/pizzeria/{name}/*"))
        statements.append(_allow(["s3:ListBucket"], f"arn:aws:s3:::{options.bucket}"))
    on_rule = [f"events:{one}" for one in ("DeleteRule", "ListTargetsByRule", "PutRule", "PutTargets", "RemoveTargets")]
    statements.append(_allow(on_rule, f"arn:aws:events:*:*:rule/{name}-*"))
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(actions: Sequence[str], on: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on}


def _statement(actions: Sequence[str], on: str | list[str]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [_allow(actions, on)]}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


_HANDLER = '''"""What AWS Lambda calls. The model is loaded here, once, before the first request."""

from pizzeria_plugins.functions.lambda_front import open_handler

handler = open_handler()
'''
_DOCKERFILE = """# BASE is AWS's image of Lambda for this version of Python; name it with --build-arg BASE=...
ARG BASE
FROM ${BASE}
COPY function/ ${LAMBDA_TASK_ROOT}/
CMD ["lambda_function.handler"]
"""


def _readme(name: str, options: Options) -> str:
    made = "`function.zip` is the function." if options.form == "zip" else "`function/` is what the image holds."
    return f"""# {name} on AWS Lambda

Written by `pizzeria deploy --out`. {made}

- `template.yaml`: for `sam deploy`; see COMMANDS. Secrets are its parameters.
- `deployer-policy.json`: what `pizzeria deploy` needs to be allowed.
- `monitor/`, where `deployment.schedule.monitor` is set: what the image of `deployment.monitor_image` is built from.
- `role-policy.json`, `role-trust.json`: the role of the function, where none is given.

`pizzeria deploy` itself needs none of these files: it does the same through AWS's API, asks the new version for its
golden answer, and only then lets the alias `{ALIAS}` point to it.
"""
