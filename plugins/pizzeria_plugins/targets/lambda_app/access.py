"""What a function needs besides itself: a role, and a log that does not grow for ever."""

from __future__ import annotations

import json

from pizzeria_plugins.targets.lambda_app.account import Account, absent_is_fine, code_of, reporting
from pizzeria_plugins.targets.lambda_app.files import TAG, TRUST, policy_of
from pizzeria_plugins.targets.lambda_app.options import Options

_POLICY = "log"


def bring_log(account: Account, function: str, options: Options) -> str:
    """Make the function's log group, with how long it keeps what it has; its ARN."""
    from botocore.exceptions import ClientError

    logs, group = account.client("logs"), f"/aws/lambda/{function}"
    with reporting(f"the log group {group} cannot be made"):
        try:
            logs.create_log_group(logGroupName=group)
        except ClientError as error:
            if code_of(error) != "ResourceAlreadyExistsException":
                raise
        logs.put_retention_policy(logGroupName=group, retentionInDays=options.log_retention_days)
        arn = account.client("sts").get_caller_identity()["Arn"]
    partition, number = arn.split(":")[1], arn.split(":")[4]
    return f"arn:{partition}:logs:{account.region}:{number}:log-group:{group}"


def bring_role(account: Account, deployment: str, function: str, log_groups: list[str], options: Options) -> str:
    """The ARN of the role: that of the options, or one that may do nothing but write these logs."""
    if options.role is not None:
        return options.role
    from botocore.exceptions import ClientError

    iam, name = account.client("iam"), role_name(function)
    with reporting(f"the role {name} cannot be made"):
        try:
            role = iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=json.dumps(TRUST),
                Description=f"The function {function}, made by Pizzeria",
                Tags=[{"Key": TAG, "Value": deployment}],
            )["Role"]
        except ClientError as error:
            if code_of(error) != "EntityAlreadyExists":
                raise
            role = iam.get_role(RoleName=name)["Role"]
        document = json.dumps(policy_of(log_groups))
        iam.put_role_policy(RoleName=name, PolicyName=_POLICY, PolicyDocument=document)
    return str(role["Arn"])


def remove_role(account: Account, deployment: str, function: str) -> None:
    """Delete the role, if it was made for this deployment."""
    from botocore.exceptions import ClientError

    iam, name = account.client("iam"), role_name(function)
    with reporting(f"the role {name} cannot be deleted"):
        try:
            tags = iam.get_role(RoleName=name)["Role"].get("Tags", [])
        except ClientError as error:
            if code_of(error) == "NoSuchEntity":
                return
            raise
        if {"Key": TAG, "Value": deployment} not in tags:
            return
        with absent_is_fine():
            iam.delete_role_policy(RoleName=name, PolicyName=_POLICY)
        with absent_is_fine():
            iam.delete_role(RoleName=name)


def remove_uploads(account: Account, function: str, bucket: str) -> None:
    """Delete the zips that were uploaded for the function."""
    s3 = account.client("s3")
    with reporting(f"what was uploaded to {bucket} cannot be deleted"), absent_is_fine():
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"pizzeria/{function}/")
        for page in pages:
            for one in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=one["Key"])


def role_name(function: str) -> str:
    """Of the role that is made."""
    return f"pizzeria-{function}"
