"""AWS through boto3: its clients, and its errors as errors of Pizzeria."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from pizzeria.errors import DeploymentError, PluginError
from pizzeria_plugins.targets.lambda_app.options import Options

_ABSENT = ("ResourceNotFoundException", "NoSuchEntity", "404", "NoSuchKey", "NotFound")


class Account:
    """Clients of one region, made when they are asked for.

    Args:
        region: None: that of AWS's own configuration.
        timeout_s: How long a request of the function may take.

    Raises:
        PluginError: boto3 is not installed.
        DeploymentError: no region is known.
    """

    def __init__(self, region: str | None, timeout_s: float) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise PluginError(f"aws_lambda needs boto3: {error}", hint="pip install 'pizzeria[aws]'") from None
        with reporting("AWS's own configuration cannot be read"):
            self._session = boto3.Session(region_name=region)
            self.region = self._session.region_name
        if self.region is None:
            raise DeploymentError(
                "no AWS region is known", hint="write deployment.region=eu-west-1, say, or export AWS_REGION=..."
            )
        retries = {"max_attempts": 4, "mode": "standard"}
        self._config = Config(read_timeout=timeout_s, connect_timeout=10, retries=retries)
        self.client = cache(self._client)

    def _client(self, service: str) -> Any:
        return self._session.client(service, config=self._config)


def account_of(options: Options) -> Account:
    """The account that the options lead to."""
    return Account(options.region, options.timeout_s + 20)


@contextmanager
def reporting(doing: str) -> Iterator[None]:
    """Tell of AWS's errors, and of being unable to reach it, as `DeploymentError`.

    Args:
        doing: What could not be done, such as "the function cannot be made".
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise DeploymentError(
            f"{doing}: {error}", hint="aws configure sso, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except ClientError as error:
        told = error.response.get("Error", {})
        raise DeploymentError(
            f"{doing}: {told.get('Code', '')}: {told.get('Message', error)}", hint=_hint(error)
        ) from (error)
    except BotoCoreError as error:
        raise DeploymentError(f"{doing}: {error}", hint="look at the network, and at deployment.region") from error


def code_of(error: Exception) -> str:
    """AWS's own name of an error."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def is_absent(error: Exception) -> bool:
    """Whether it says that there is no such thing."""
    return code_of(error) in _ABSENT


@contextmanager
def absent_is_fine() -> Iterator[None]:
    """What is not there need not be deleted."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if not is_absent(error):
            raise


def _hint(error: Exception) -> str:
    match code_of(error):
        case "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation":
            return "deployer-policy.json of `pizzeria deploy --out DIR` says what must be allowed"
        case "ExpiredToken" | "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidClientTokenId":
            return "log in to AWS again"
        case "ResourceConflictException":
            return "somebody else changes the function now; try again when he is done"
        case "CodeStorageExceededException":
            return "delete functions or versions that nobody needs; deployment.keep_versions bounds those of this one"
        case "TooManyRequestsException" | "ThrottlingException":
            return "try again later"
    return ""
