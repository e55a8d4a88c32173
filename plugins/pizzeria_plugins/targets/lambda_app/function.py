"""The function of a service in AWS: its code, configuration, versions, alias and URL."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.lambda_app.account import Account, absent_is_fine, code_of, is_absent, reporting
from pizzeria_plugins.targets.lambda_app.files import ALIAS, DIRECT_ZIP, STAGED, TAG
from pizzeria_plugins.targets.lambda_app.options import Options

T = TypeVar("T")
_AGAIN_S = 1.0
_PUBLIC = ("pizzeria-url", "pizzeria-url-invoke")
"""Ids of the statements that let everybody call the URL."""


@dataclass(frozen=True)
class Wanted:
    """What the function shall be.

    Attributes:
        deployment: Name of the deployment, to which the function is tagged.
        code: The zip's path, or None for an image.
        configuration: Keys of `CreateFunction` that are configuration.
        packed: Keys of `CreateFunction` for the package: Runtime and Handler, or ImageConfig.
    """

    deployment: str
    code: Path | None
    configuration: Mapping[str, Any]
    packed: Mapping[str, Any]


class Function:
    """One function by name.

    Every method raises DeploymentError with what AWS says.
    """

    def __init__(self, account: Account, name: str, options: Options) -> None:
        self.account, self.name, self.options = account, name, options
        self._lambda = account.client("lambda")

    def exists(self) -> bool:
        """Whether it is there."""
        return self._get() is not None

    def owner(self) -> str | None:
        """The deployment that made it; empty where Pizzeria did not, None where there is no such function."""
        found = self._get()
        return None if found is None else str(found.get("Tags", {}).get(TAG, ""))

    def check_ours(self, deployment: str) -> None:
        """Refuse a function that somebody else made.

        Raises:
            DeploymentError: it has no tag of this deployment.
        """
        owner = self.owner()
        if owner is not None and owner != deployment:
            whose = f"is of the deployment {owner}" if owner else "was not made by Pizzeria"
            raise DeploymentError(
                f"the function {self.name} in {self.account.region} {whose}",
                hint="give another name: deployment.function_name=...",
            )

    def bring_to(self, wanted: Wanted) -> None:
        """Make it, or change `$LATEST` of it; what is published stays as it is."""
        found = self._get()
        if found is None:
            self._create(wanted)
            return
        kind = "Zip" if wanted.code is not None else "Image"
        if found["Configuration"].get("PackageType", kind) != kind:
            raise DeploymentError(
                f"the function {self.name} is no {kind.lower()}, and AWS changes no function from one to the other",
                hint="give the new one another name: deployment.function_name=...; or stop this one first",
            )
        with reporting(f"the function {self.name} cannot be changed"):
            self._settled()
            if self._code_differs(wanted, found):
                architectures = [self.options.architecture]
                code = self._code(wanted)
                self._retried(
                    lambda: self._lambda.update_function_code(
                        FunctionName=self.name, Architectures=architectures, **code
                    )
                )
                self._settled()
            packed = wanted.packed if wanted.code is not None or "ImageConfig" in wanted.packed else {}
            changed = {**wanted.configuration, **packed}
            if not _covers(found["Configuration"], changed):
                self._retried(
                    lambda: self._lambda.update_function_configuration(FunctionName=self.name, **_explicit(changed))
                )
                self._settled()

    def publish(self, sha256: str) -> str:
        """Publish `$LATEST`; the version's number, the one before where nothing changed."""
        with reporting(f"no version of {self.name} can be published"):
            told = self._retried(
                lambda: self._lambda.publish_version(FunctionName=self.name, Description=f"bundle {sha256}")
            )
            version = str(told["Version"])
            self._wait("published_version_active", Qualifier=version)
        return version

    def serving(self) -> tuple[str, str, float]:
        """Version that the alias points to (empty without an alias), the staged one, and the share that it gets."""
        with reporting(f"the aliases of {self.name} cannot be read"):
            live = self._alias(ALIAS)
            staged = self._alias(STAGED)
        weights = ((live or {}).get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        staged_version = str((staged or {}).get("FunctionVersion", ""))
        return str((live or {}).get("FunctionVersion", "")), staged_version, float(weights.get(staged_version, 0))

    def point(self, alias: str, version: str, weights: Mapping[str, float] | None = None) -> None:
        """Let an alias point to a version, and send shares of its requests to others."""
        routing = {"AdditionalVersionWeights": dict(weights or {})}
        with reporting(f"{alias} of {self.name} cannot point to version {version}"):
            there = self._alias(alias)
            call = self._lambda.create_alias if there is None else self._lambda.update_alias
            self._retried(
                lambda: call(FunctionName=self.name, Name=alias, FunctionVersion=version, RoutingConfig=routing)
            )

    def unstage(self) -> None:
        """Forget which version is staged."""
        with reporting(f"the alias {STAGED} of {self.name} cannot be deleted"), absent_is_fine():
            self._lambda.delete_alias(FunctionName=self.name, Name=STAGED)

    def bundle_of(self, version: str) -> str:
        """sha256 of the bundle in a version, as its description says."""
        with reporting(f"version {version} of {self.name} cannot be read"):
            told = self._lambda.get_function_configuration(FunctionName=self.name, Qualifier=version)
        return str(told.get("Description", "")).removeprefix("bundle ")

    def drop(self, version: str) -> None:
        """Delete one version."""
        with reporting(f"version {version} of {self.name} cannot be deleted"), absent_is_fine():
            self._lambda.delete_function(FunctionName=self.name, Qualifier=version)

    def drop_old(self) -> None:
        """Delete versions beyond those to be kept, never one that an alias points to."""
        live, staged, _ = self.serving()
        with reporting(f"the versions of {self.name} cannot be listed"):
            pages = self._lambda.get_paginator("list_versions_by_function").paginate(FunctionName=self.name)
            found = [one["Version"] for page in pages for one in page["Versions"] if one["Version"] != "$LATEST"]
        for version in sorted(found, key=int)[: -self.options.keep_versions]:
            if version not in (live, staged):
                self.drop(version)

    def open_url(self) -> str:
        """The URL of the alias, as the options want it; empty where they want none."""
        with reporting(f"the URL of {self.name} cannot be set"):
            url = self._url()
            if self.options.url == "none":
                if url is not None:
                    self._lambda.delete_function_url_config(FunctionName=self.name, Qualifier=ALIAS)
                self._allow_public(False)
                return ""
            kind = "NONE" if self.options.url == "public" else "AWS_IAM"
            if url is None:
                url = self._lambda.create_function_url_config(FunctionName=self.name, Qualifier=ALIAS, AuthType=kind)
            elif url["AuthType"] != kind:
                url = self._lambda.update_function_url_config(FunctionName=self.name, Qualifier=ALIAS, AuthType=kind)
            self._allow_public(kind == "NONE")
            return str(url["FunctionUrl"]).rstrip("/")

    def address(self) -> str:
        """The URL, where there is one; otherwise the name under which AWS knows the alias."""
        with reporting(f"the URL of {self.name} cannot be read"):
            url = self._url()
        return f"{self.account.region}:{self.name}:{ALIAS}" if url is None else str(url["FunctionUrl"]).rstrip("/")

    def delete(self) -> None:
        """Delete it with its versions, aliases and URL; nothing happens where there is none."""
        with reporting(f"the function {self.name} cannot be deleted"), absent_is_fine():
            if self._url() is not None:
                self._lambda.delete_function_url_config(FunctionName=self.name, Qualifier=ALIAS)
            self._lambda.delete_function(FunctionName=self.name)

    def _get(self) -> dict[str, Any] | None:
        with reporting(f"the function {self.name} cannot be looked up"):
            return self._found(lambda: self._lambda.get_function(FunctionName=self.name))

    def _alias(self, alias: str) -> dict[str, Any] | None:
        return self._found(lambda: self._lambda.get_alias(FunctionName=self.name, Name=alias))

    def _url(self) -> dict[str, Any] | None:
        return self._found(lambda: self._lambda.get_function_url_config(FunctionName=self.name, Qualifier=ALIAS))

    def _found(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            return call()
        except ClientError as error:
            if is_absent(error):
                return None
            raise

    def _create(self, wanted: Wanted) -> None:
        with reporting(f"the function {self.name} cannot be made"):
            code = self._code(wanted)
            kind = {"PackageType": "Zip" if wanted.code is not None else "Image"}
            # A role that was made just now is not known everywhere for some seconds.
            self._retried(
                lambda: self._lambda.create_function(
                    FunctionName=self.name,
                    Architectures=[self.options.architecture],
                    Code=code,
                    Tags={TAG: wanted.deployment},
                    **kind,
                    **{key: value for key, value in {**wanted.configuration, **wanted.packed}.items() if value},
                )
            )
            self._wait("function_active_v2")

    def _code(self, wanted: Wanted) -> dict[str, Any]:
        if wanted.code is None:
            return {"ImageUri": self.options.image}
        size = wanted.code.stat().st_size
        if self.options.bucket is not None:
            key = f"pizzeria/{self.name}/{_sha256(wanted.code).hex()}.zip"
            self.account.client("s3").upload_file(str(wanted.code), self.options.bucket, key)
            return {"S3Bucket": self.options.bucket, "S3Key": key}
        if size > DIRECT_ZIP:
            raise DeploymentError(
                f"the zip of {self.name} has {size / 1e6:.1f} MB, and Lambda takes {DIRECT_ZIP / 1e6:.1f} MB directly",
                hint="write deployment.bucket=... (an S3 bucket of yours in that region)",
            )
        return {"ZipFile": wanted.code.read_bytes()}

    def _code_differs(self, wanted: Wanted, found: Mapping[str, Any]) -> bool:
        if found["Configuration"].get("Architectures", ["x86_64"]) != [self.options.architecture]:
            return True
        if wanted.code is None:
            return bool(found.get("Code", {}).get("ImageUri") != self.options.image)
        here = base64.b64encode(_sha256(wanted.code)).decode()
        return bool(found["Configuration"].get("CodeSha256") != here)

    def _allow_public(self, wanted: bool) -> None:
        common = {"FunctionName": self.name, "Qualifier": ALIAS}
        wants: list[dict[str, Any]] = [
            {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
            {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
        ]
        from botocore.exceptions import ClientError

        for name, how in zip(_PUBLIC, wants, strict=True):
            if not wanted:
                with absent_is_fine():
                    self._lambda.remove_permission(StatementId=name, **common)
                continue
            try:
                self._lambda.add_permission(StatementId=name, Principal="*", **how, **common)
            except ClientError as error:
                if code_of(error) != "ResourceConflictException":  # it is there already
                    raise

    def _settled(self) -> None:
        self._wait("function_updated_v2")

    def _wait(self, what: str, **more: str) -> None:
        from botocore.exceptions import WaiterError

        config = {"Delay": 1, "MaxAttempts": max(1, int(self.options.ready_timeout_s))}
        try:
            self._lambda.get_waiter(what).wait(FunctionName=self.name, WaiterConfig=config, **more)
        except WaiterError as error:
            told = error.last_response or {}
            told = told.get("Configuration", told)
            why = told.get("LastUpdateStatusReason") or told.get("StateReason") or str(error)
            raise DeploymentError(f"the function {self.name} did not become ready: {why}") from error

    def _retried(self, call: Callable[[], T]) -> T:
        """A change while another one is under way is refused; and a new role is not known everywhere at once."""
        from botocore.exceptions import ClientError

        until = time.monotonic() + min(60.0, self.options.ready_timeout_s)
        while True:
            try:
                return call()
            except ClientError as error:
                again = code_of(error) == "ResourceConflictException" and "already exist" not in str(error)
                again = again or "cannot be assumed by Lambda" in str(error)
                if not again or time.monotonic() >= until:
                    raise
            time.sleep(_AGAIN_S)


def _covers(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a configuration is what is wanted, where nothing and an empty thing are the same."""
    return all((found.get(key) or {}) == (value or {}) for key, value in wanted.items())


def _explicit(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is left out of a change would stay as it was."""
    return {key: {"Variables": {}} if key == "Environment" and not value else value for key, value in wanted.items()}


def _sha256(path: Path) -> bytes:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
