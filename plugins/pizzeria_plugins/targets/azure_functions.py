"""Target `azure_functions`: the service as an Azure function app in Python, run from a package in Blob Storage.

The zip goes into a container under a name that says its content, and one setting of the function app says which one it
runs. `<state>/<name>/deployment.json` says where the app answers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pizzeria.contracts import DeploymentStatus, Progress, Release, Rendered
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.targets.clouds import variables
from pizzeria_plugins.targets.clouds.addresses import checked_address
from pizzeria_plugins.targets.clouds.variables import Variables

SCHEDULES = True
LOCK = "azure-function"

_RESERVED = re.compile(
    r"(?i)(WEBSITE|FUNCTIONS|AZUREWEBJOBS|IDENTITY|MSI|SCM|APPSETTING|AZURE_CLIENT)_?.*|PYTHON.*|PORT"
)
_JOB = r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?"


class Options(PluginOptions):
    """Options of the `azure_functions` target."""

    subscription: str = Field(description="Id of the subscription.")
    resource_group: str = Field(description="Resource group of the function app.")
    function_app: str = Field(description="Name of the function app, which is unique in Azure; Terraform makes it.")
    storage_account: str = Field(description="Storage account of the packages; Terraform makes it, too.")
    container: str = Field(
        default="pizzeria", description="Container of the packages; it is made where it is not there."
    )
    region: str = Field(default="westeurope", description="Where Terraform makes the function app.")
    plan: Literal["Y1", "EP1", "EP2", "EP3", "B1", "B2", "B3", "P0v3", "P1v3", "P2v3"] = Field(
        default="Y1", description="Plan that Terraform makes: Y1 is paid by use; EP1 and the others are always there."
    )
    python: Literal["3.11", "3.12"] | None = Field(
        default=None, description="Version of Python there; null: that of this command, which starts fastest."
    )
    http_auth_level: Literal["anonymous", "function"] = Field(
        default="anonymous",
        description="function: callers need a key of Azure (x-functions-key) besides serving.keys_from.",
    )
    timeout_s: int = Field(default=60, ge=1, le=600, description="Seconds after which Azure gives a request up.")
    max_instances: int | None = Field(
        default=10, ge=1, le=200, description="Instances at most; null: as the plan says."
    )
    environment: Variables = Field(default={}, description="Further application settings: {NAME: value}.")
    secrets: dict[str, str] = Field(
        default={},
        description="Settings from Key Vault: {NAME: vault/secret}. Other secrets that the service needs come from the "
        "environment of the command that deploys, and become settings of the function app.",
    )
    monitor_job: str | None = Field(
        default=None,
        description="Container Apps job with the monitor image, in the same resource group, which "
        "deployment.schedule.monitor starts.",
    )
    maintain_job: str | None = Field(default=None, description="The job that deployment.schedule.maintain starts.")
    url: str | None = Field(
        default=None, description="Where the function is asked, if not at its own address: a gateway, a domain."
    )
    ready_timeout_s: float = Field(default=600, gt=0, le=7200, description="How long the app may take to start.")
    management_url: str = Field(
        default="https://management.azure.com", description="Address of Azure's resource manager, in another cloud."
    )
    storage_url: str | None = Field(
        default=None, description="Address of the blob service; null: https://ACCOUNT.blob.core.windows.net."
    )

    @field_validator("subscription")
    @classmethod
    def _is_a_subscription(cls, subscription: str) -> str:
        if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", subscription):
            raise ValueError(f"{subscription[:80]!r} is no id of a subscription; `az account show --query id` tells it")
        return subscription

    @field_validator("resource_group")
    @classmethod
    def _is_a_group(cls, group: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_.()-]{0,89}[A-Za-z0-9_()-]", group):
            raise ValueError(f"{group[:80]!r} is no resource group; write at most 90 letters, digits, ., _, -, ( and )")
        return group

    @field_validator("function_app")
    @classmethod
    def _is_an_app(cls, app: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]", app):
            raise ValueError(f"{app[:80]!r} is no name of a function app; write 2 to 60 letters, digits and -")
        return app

    @field_validator("storage_account")
    @classmethod
    def _is_an_account(cls, account: str) -> str:
        if not re.fullmatch(r"[a-z0-9]{3,24}", account):
            raise ValueError(f"{account[:80]!r} is no storage account; write 3 to 24 of a-z and 0-9")
        return account

    @field_validator("container")
    @classmethod
    def _is_a_container(cls, container: str) -> str:
        if not re.fullmatch(r"[a-z0-9](-?[a-z0-9]){2,62}", container) or len(container) > 63:
            raise ValueError(f"{container[:80]!r} is no container; write 3 to 63 of a-z, 0-9 and single -")
        return container

    @field_validator("region")
    @classmethod
    def _is_a_region(cls, region: str) -> str:
        if not re.fullmatch(r"[a-z]{3,30}\d?", region):
            raise ValueError(f"{region[:80]!r} is no region; write westeurope or eastus2, say")
        return region

    @field_validator("monitor_job", "maintain_job")
    @classmethod
    def _is_a_job(cls, job: str | None) -> str | None:
        if job is not None and (not re.fullmatch(_JOB, job) or "--" in job):
            raise ValueError(f"{job[:80]!r} is no Container Apps job; write its name: a-z, 0-9 and -, 32 at most")
        return job

    @field_validator("environment")
    @classmethod
    def _are_free(cls, environment: dict[str, str]) -> dict[str, str]:
        variables.check_reserved(environment, _RESERVED, "Azure")
        for name, value in environment.items():
            if value.lstrip().startswith("@Microsoft."):
                raise ValueError(f"the value of {name} is a reference; write it in secrets: {{{name}: vault/secret}}")
        return environment

    @field_validator("secrets")
    @classmethod
    def _are_secrets(cls, secrets: dict[str, str]) -> dict[str, str]:
        for name, secret in secrets.items():
            variables.check_name(name)
            if not re.fullmatch(r"[A-Za-z](-?[A-Za-z0-9]){2,23}/[A-Za-z0-9-]{1,127}", secret):
                raise ValueError(f"the secret of {name} is none in Key Vault; write vault/secret, such as kitchen/keys")
        variables.check_reserved(secrets, _RESERVED, "Azure")
        return secrets

    @field_validator("url", "management_url", "storage_url")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        return None if address is None else checked_address(address)

    @model_validator(mode="after")
    def _fit_together(self) -> Options:
        twice = sorted(self.environment.keys() & self.secrets.keys())
        if twice:
            raise ValueError(f"{twice[0]!r} is in environment and in secrets; keep one of them")
        return self


def render(release: Release, options: Options) -> Rendered:
    """The function app's files, Terraform's file, and what `az` would be told to do the same.

    Raises:
        DeploymentError: the release cannot be a function, or a schedule has no job.
    """
    from pizzeria_plugins.targets.azure_app import project

    return project.rendered(release, options)


def build(release: Release, options: Options, folder: Path, progress: Progress) -> None:
    """Write `function.zip` beside the rendered files.

    Raises:
        DeploymentError: it is larger than Azure takes.
    """
    from pizzeria_plugins.targets.azure_app import project

    project.write_package(release, options, folder / project.PACKAGE, progress)


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Let the function app run this bundle; one that runs the same package with the same settings is left as it is.

    Raises:
        DeploymentError: Azure refuses, the app does not start, or it answers with another bundle or otherwise than the
            golden answer; the settings before are put back.
    """
    from pizzeria_plugins.targets.azure_app import rollout

    return rollout.apply(release, options, progress)


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """How it is now, from `/readyz`."""
    from pizzeria_plugins.targets.azure_app import rollout

    return rollout.status(name, options, state)


def remove(name: str, options: Options, state: Path) -> None:
    """Take the package from the function app, and delete the packages; the app itself stays, as Terraform made it."""
    from pizzeria_plugins.targets.azure_app import rollout

    rollout.remove(name, options, state)
