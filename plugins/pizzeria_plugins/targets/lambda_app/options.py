"""The options of the target `aws_lambda`."""

from __future__ import annotations

import re
import sys
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.functions.packages import Machine
from pizzeria_plugins.targets.clouds.variables import Variables, check_reserved

_RESERVED = re.compile(r"AWS_.*|LAMBDA_.*|_.*|LANG|PATH|LD_LIBRARY_PATH|PYTHONPATH|TZ|.")
"""Lambda's own; it takes no name of one letter either."""
_ARN = r"^arn:aws[a-z-]*:"
_IMAGE = (
    r"^[a-z0-9][a-z0-9.-]{0,200}(:[0-9]{1,5})?(/[a-z0-9._-]{1,200}){0,8}"
    r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)
Retention = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653]


class Options(PluginOptions):
    """Options of the `aws_lambda` target."""

    region: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2}(-[a-z]+)+-\d$",
        description="AWS region, such as eu-west-1; null: the one that AWS's own configuration names.",
    )
    function_name: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_-]{1,50}$", description="Name of the function; null: the spec's name."
    )
    role: str | None = Field(
        default=None,
        pattern=_ARN + r"iam::\d{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$",
        description="ARN of the role that the function takes; null: one is made that may write the function's own log.",
    )
    form: Literal["zip", "image"] = Field(
        default="zip", description="A zip of at most 250 MB unzipped, or a container image of at most 10 GB."
    )
    image: str | None = Field(
        default=None,
        pattern=_IMAGE,
        description="Where the image lies, for form: image; build it with what `pizzeria deploy --out` writes.",
    )
    memory_mb: int = Field(
        default=1769, ge=128, le=10240, description="Memory, and with it CPU: 1769 is one core, 3538 two."
    )
    timeout_s: int = Field(default=35, ge=1, le=900, description="Seconds after which Lambda stops a request.")
    architecture: Literal["x86_64", "arm64"] = Field(default="x86_64", description="CPU of the function.")
    python: Literal["3.11", "3.12"] | None = Field(
        default=None, description="Version of Python there; null: that of this command, which starts fastest."
    )
    url: Literal["none", "iam", "public"] = Field(
        default="iam",
        description="Function URL: none, for callers that AWS knows (signed requests), or for everybody; give "
        "serving.keys_from with the last.",
    )
    bucket: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="S3 bucket through which the zip goes; needed from 50 MB.",
    )
    environment: Variables = Field(default={}, description="Plain environment variables of the function.")
    kms_key: str | None = Field(
        default=None,
        pattern=_ARN + r"kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]{1,64}$",
        description="ARN of the key that encrypts the environment, secrets included; null: Lambda's own.",
    )
    log_retention_days: Retention = Field(default=30, description="How long CloudWatch keeps the function's log.")
    keep_versions: int = Field(default=3, ge=2, le=50, description="Published versions that are kept; the live one is.")
    monitor_image: str | None = Field(
        default=None,
        pattern=_IMAGE,
        description="Container image for deployment.schedule.monitor, built of the folder `monitor` that --out writes.",
    )
    maintain_image: str | None = Field(
        default=None,
        pattern=_IMAGE,
        description="The same for deployment.schedule.maintain, with what trains in /opt/pizzeria/env.",
    )
    ready_timeout_s: float = Field(default=120, gt=0, description="How long AWS may take for each of its steps.")

    @property
    def machine(self) -> Machine:
        """The CPU as pip calls it."""
        return "aarch64" if self.architecture == "arm64" else "x86_64"

    @property
    def python_there(self) -> str:
        """Version of Python there."""
        return self.python or f"{sys.version_info[0]}.{sys.version_info[1]}"

    @field_validator("environment")
    @classmethod
    def _not_reserved(cls, variables: dict[str, str]) -> dict[str, str]:
        check_reserved(variables, _RESERVED, "Lambda")
        return variables

    @model_validator(mode="after")
    def _image_for_form(self) -> Options:
        if (self.form == "image") != (self.image is not None):
            raise ValueError("form: image goes with image: ACCOUNT.../amenities:1, and form: zip with none")
        return self
