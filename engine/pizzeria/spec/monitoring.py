"""The section `monitoring`: what is watched in a live model, and who is told."""

from __future__ import annotations

from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from pizzeria.spec.section import PluginSection, Section

PerformanceMetric = Literal[
    "f1",
    "roc_auc",
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "average_precision",
    "mae",
    "rmse",
    "mse",
    "mape",
]


class Chunk(Section):
    """How monitored predictions are cut into chunks, by size or by period; with neither, all of them are one chunk."""

    size: int | None = Field(
        default=None, gt=0, description="Predictions in a chunk; the rest of the division joins the last one."
    )
    period: str | None = Field(
        default=None,
        pattern=r"^\d*(s|min|h|D|W|M|Q|Y)$",
        description="Or a pandas period: h, 6h, D, W, M ...",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Chunk:
        if self.size is not None and self.period is not None:
            raise ValueError(f"size {self.size} and period {self.period} exclude each other; keep one of them")
        return self


class PerformanceThreshold(Section):
    """When the estimated (or, with labels, realised) performance of a chunk raises an alert.

    With neither `below` nor `above` the limit comes from the reference: three sampling errors from its own value.
    """

    metric: PerformanceMetric = Field(
        description="mae, rmse, mse or mape for a number; the others for classes, as the mean where there are many."
    )
    below: float | None = Field(default=None, description="Alert when a chunk is lower.")
    above: float | None = Field(default=None, description="Alert when a chunk is higher (errors).")

    @model_validator(mode="after")
    def _reachable(self) -> PerformanceThreshold:
        if self.below is not None and self.above is not None and self.below > self.above:
            raise ValueError(
                f"every chunk is below {self.below:g} or above {self.above:g}, so each would raise an alert"
            )
        return self


class DriftThreshold(Section):
    """When a shift of the inputs, or of what the model says of them, is worth an alert."""

    method: Literal["jensen_shannon", "hellinger", "kolmogorov_smirnov"] = Field(
        default="jensen_shannon",
        description="Distance of a column from the reference, 0 to 1. For categories kolmogorov_smirnov is l_infinity.",
    )
    above: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="A column further than this has drifted, unless healthy chunks of that size go as far by chance.",
    )
    columns: int = Field(default=2, gt=0, description="Alert when at least so many columns (or all) drift in a chunk.")
    multivariate: bool = Field(
        default=True, description="Alert also when columns no longer go together: PCA reconstruction error."
    )


class Alert(PluginSection):
    """Who hears of it."""

    KIND: ClassVar[str] = "alerts"

    use: str = Field(default="log", description="Alert plugin.")


class Monitoring(PluginSection):
    """Phase 9: what is watched, and when somebody is told."""

    KIND: ClassVar[str] = "monitors"

    use: str = Field(default="nannyml", description="Monitor plugin.")
    chunk: Chunk = Field(default=Chunk(size=500), description="How predictions are cut into chunks.")
    performance: PerformanceThreshold | None = Field(
        default=None, description="Performance alert; without it f1 (mae for regression) against the reference's own."
    )
    drift: DriftThreshold = Field(default=DriftThreshold(), description="Drift alert.")
    alerts: tuple[Alert, ...] = Field(default=(Alert(),), description="Alert plugins, each with its options.")
    remind_every: str | None = Field(
        default=None,
        pattern=r"^\d{1,6}[mhd]$",
        description="Tell again of an alert that goes on, so often: 12h, 1d ... null: only when it begins and ends.",
    )
    pages: str | None = Field(
        default=None,
        description="Address at which people reach `pizzeria ui`, for the links in alerts: https://pizzeria.example:8501",
    )

    @field_validator("pages")
    @classmethod
    def _address(cls, pages: str | None) -> str | None:
        if pages is None:
            return None
        parts = urlsplit(pages)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{pages!r} is no address of a page; write https://host:port")
        if parts.password is not None or parts.username is not None:
            raise ValueError("the address holds a user or password; leave it out")
        return pages.rstrip("/")
