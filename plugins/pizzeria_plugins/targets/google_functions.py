"""Target `google_functions`: the service as a Cloud Run function (2nd generation) of Google Cloud.

The zip goes into a bucket under a name that says its content, Google builds a new revision from it, and the traffic
goes over when that is ready. `<state>/<name>/deployment.json` says where the function answers.
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
LOCK = "google-function"

_RESERVED = re.compile(
    r"(K_|X_GOOGLE_|GOOGLE_|FUNCTION_|GUNICORN_).*|PORT|ENTRY_POINT|HOST|DEBUG|WORKERS|THREADS|PYTHON.*"
)
_NAME = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = r"[a-z0-9][a-z0-9._-]*@[a-z0-9][a-z0-9.-]*[a-z0-9]"
_MOST_MEMORY = {1: 4, 2: 8, 4: 16, 6: 24, 8: 32}
_LEAST_MEMORY = {1: 0.5, 2: 0.5, 4: 2, 6: 4, 8: 4}
_GIB = {"512Mi": 0.5, "1Gi": 1, "2Gi": 2, "4Gi": 4, "8Gi": 8, "16Gi": 16, "32Gi": 32}


class Options(PluginOptions):
    """Options of the `google_functions` target."""

    project: str = Field(description="Id of the Google Cloud project.")
    bucket: str = Field(description="Bucket of Cloud Storage for the packages; it must be there, Terraform makes it.")
    region: str = Field(default="europe-west1", description="Where the function runs, such as us-central1.")
    function_name: str | None = Field(
        default=None, description="Name of the function; null: the spec's name, with - for _."
    )
    python: Literal["3.11", "3.12"] | None = Field(
        default=None, description="Version of Python there; null: that of this command, which starts fastest."
    )
    memory: Literal["512Mi", "1Gi", "2Gi", "4Gi", "8Gi", "16Gi", "32Gi"] = Field(
        default="1Gi", description="Memory of one instance."
    )
    cpu: Literal[1, 2, 4, 6, 8] = Field(default=1, description="CPUs of one instance.")
    min_instances: int = Field(
        default=0, ge=0, le=1000, description="Instances that are always there, and always paid."
    )
    max_instances: int = Field(default=10, ge=1, le=1000, description="Instances at most.")
    concurrency: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Requests given to one instance at once; null: serving.max_concurrency, or three for each CPU.",
    )
    timeout_s: int = Field(default=60, ge=1, le=3600, description="Seconds after which Google gives a request up.")
    service_account: str | None = Field(
        default=None, description="E-mail of the account that the function runs as; null: the project's default one."
    )
    ingress: Literal["all", "internal", "internal-and-gclb"] = Field(
        default="all", description="Who may reach it: all, this project's networks, or those and the load balancer."
    )
    allow_unauthenticated: bool = Field(
        default=False, description="Let callers in without an account of Google; serving.keys_from then guards it."
    )
    environment: Variables = Field(default={}, description="Further environment variables: {NAME: value}.")
    secrets: dict[str, str] = Field(
        default={},
        description="Variables from Secret Manager: {NAME: secret}, or secret:version. Those that the service needs "
        "and that are not here are taken from the secret of their own name.",
    )
    monitor_job: str | None = Field(
        default=None, description="Cloud Run job with the monitor image, which deployment.schedule.monitor starts."
    )
    maintain_job: str | None = Field(default=None, description="The job that deployment.schedule.maintain starts.")
    scheduler_account: str | None = Field(
        default=None, description="E-mail of the account that starts these jobs; null: service_account."
    )
    url: str | None = Field(
        default=None, description="Where the function is asked, if not at its own address: a gateway, a domain."
    )
    ready_timeout_s: float = Field(default=900, gt=0, le=7200, description="How long build and start may take.")
    api_endpoint: str | None = Field(
        default=None, description="Another address of Google's APIs, for tests; http://127.0.0.1:port asks as nobody."
    )

    @field_validator("project")
    @classmethod
    def _is_a_project(cls, project: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", project):
            raise ValueError(f"{project[:80]!r} is no id of a project; write it as my-project-123")
        return project

    @field_validator("bucket")
    @classmethod
    def _is_a_bucket(cls, bucket: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]", bucket) or bucket.startswith("goog"):
            raise ValueError(
                f"{bucket[:80]!r} is no name of a bucket; write 3 to 63 of a-z, 0-9, - and _, without gs://"
            )
        return bucket

    @field_validator("region")
    @classmethod
    def _is_a_region(cls, region: str) -> str:
        if not re.fullmatch(r"[a-z]{2,20}-[a-z]{2,20}\d{1,2}", region):
            raise ValueError(f"{region[:80]!r} is no region; write europe-west1 or us-central1, say")
        return region

    @field_validator("function_name", "monitor_job", "maintain_job")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(_NAME, name):
            raise ValueError(f"{name[:80]!r} is no name there; write a-z, 0-9 and -, 63 at most, such as amenities")
        return name

    @field_validator("service_account", "scheduler_account")
    @classmethod
    def _is_an_account(cls, account: str | None) -> str | None:
        if account is not None and not re.fullmatch(_EMAIL, account):
            raise ValueError(f"{account[:80]!r} is no account; write name@project.iam.gserviceaccount.com")
        return account

    @field_validator("environment")
    @classmethod
    def _are_free(cls, environment: dict[str, str]) -> dict[str, str]:
        variables.check_reserved(environment, _RESERVED, "Google")
        return environment

    @field_validator("secrets")
    @classmethod
    def _are_secrets(cls, secrets: dict[str, str]) -> dict[str, str]:
        for name, secret in secrets.items():
            variables.check_name(name)
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}(:(latest|[1-9]\d{0,8}))?", secret):
                raise ValueError(f"the secret of {name} is no name of one in Secret Manager; write kitchen-keys, say")
        variables.check_reserved(secrets, _RESERVED, "Google")
        return secrets

    @field_validator("url", "api_endpoint")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        return None if address is None else checked_address(address)

    @model_validator(mode="after")
    def _fit_together(self) -> Options:
        if self.min_instances > self.max_instances:
            raise ValueError(
                f"min_instances {self.min_instances} is more than max_instances {self.max_instances}; raise the latter"
            )
        gib = _GIB[self.memory]
        if not _LEAST_MEMORY[self.cpu] <= gib <= _MOST_MEMORY[self.cpu]:
            raise ValueError(
                f"memory {self.memory} does not go with {self.cpu} CPUs; Google wants {_LEAST_MEMORY[self.cpu]:g} to "
                f"{_MOST_MEMORY[self.cpu]} Gi for them"
            )
        twice = sorted(self.environment.keys() & self.secrets.keys())
        if twice:
            raise ValueError(f"{twice[0]!r} is in environment and in secrets; keep one of them")
        return self


def render(release: Release, options: Options) -> Rendered:
    """The function's files, Terraform's file, and what `gcloud` would be told to do the same.

    Raises:
        DeploymentError: the release cannot be a function, or a schedule has no job.
    """
    from pizzeria_plugins.targets.google_app import project

    return project.rendered(release, options)


def build(release: Release, options: Options, folder: Path, progress: Progress) -> None:
    """Write `function.zip` beside the rendered files.

    Raises:
        DeploymentError: it is larger than Google takes.
    """
    from pizzeria_plugins.targets.google_app import project

    project.write_package(release, options, folder / project.PACKAGE, progress)


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Bring the function up with this bundle; one that answers with the same package and settings is left as it is.

    Raises:
        DeploymentError: Google refuses, the build fails, or the function answers with another bundle or otherwise than
            the golden answer; the package before is put back.
    """
    from pizzeria_plugins.targets.google_app import rollout

    return rollout.apply(release, options, progress)


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """How it is now, from `/readyz`."""
    from pizzeria_plugins.targets.google_app import rollout

    return rollout.status(name, options, state)


def remove(name: str, options: Options, state: Path) -> None:
    """Delete the function, its scheduler jobs and its packages; the bucket stays."""
    from pizzeria_plugins.targets.google_app import rollout

    rollout.remove(name, options, state)
