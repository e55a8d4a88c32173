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
    "right_verdicts",
]


class Chunk(Section):
    """How monitored predictions are cut into chunks, by size or by period; with neither, all of them are one chunk."""

    size: int | None = Field(
        default=None,
        gt=0,
        description="Predictions in a chunk; what is left over is an open chunk, which is judged again as it fills.",
    )
    period: str | None = Field(
        default=None,
        pattern=r"^\d*(s|min|h|D|W|M|Q|Y)$",
        description="Or a pandas period in UTC: h, 6h, D, W, M ...",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Chunk:
        if self.size is not None and self.period is not None:
            raise ValueError(f"size {self.size} and period {self.period} exclude each other; keep one of them")
        return self


class PerformanceThreshold(Section):
    """When the estimated (or, with labels, realised) performance of a chunk raises an alert.

    With neither `below`, `above` nor `deviations` the limit comes from the reference: three sampling errors from its
    own value.
    """

    metric: PerformanceMetric = Field(
        description="mae, rmse, mse or mape for a number; right_verdicts for listings: the share of amenities of which "
        "its photos together say rightly whether they show them; the others for classes, as the mean where there are "
        "many."
    )
    below: float | None = Field(default=None, description="Alert when a chunk is lower.")
    above: float | None = Field(default=None, description="Alert when a chunk is higher (errors).")
    deviations: float | None = Field(
        default=None,
        gt=0,
        description="Or alert when a chunk is worse than the mean over the reference's chunks by so many of their "
        "standard deviations: NannyML's own rule. It needs a reference of at least five chunks.",
    )

    @model_validator(mode="after")
    def _reachable(self) -> PerformanceThreshold:
        if self.below is not None and self.above is not None and self.below > self.above:
            raise ValueError(
                f"every chunk is below {self.below:g} or above {self.above:g}, so each would raise an alert"
            )
        if self.deviations is not None and (self.below is not None or self.above is not None):
            raise ValueError("deviations and a limit (below, above) exclude each other; keep one of them")
        return self


NumberMethod = Literal["jensen_shannon", "wasserstein", "kolmogorov_smirnov", "hellinger"]
CategoryMethod = Literal["jensen_shannon", "chi2", "l_infinity", "hellinger"]
MultivariateMethod = Literal["reconstruction", "domain_classifier"]


class DriftThreshold(Section):
    """When a shift of the inputs, or of what the model says of them, is worth an alert.

    A column has drifted when it is further from the reference than `above`, and further than healthy chunks of that
    size come to be by chance.
    """

    numbers: NumberMethod = Field(
        default="jensen_shannon", description="How far a column of numbers is from the reference: NannyML's method."
    )
    categories: CategoryMethod = Field(default="jensen_shannon", description="The same for a column of categories.")
    above: float | None = Field(
        default=0.25,
        gt=0,
        description="A distance, 0 to 1; of wasserstein, in standard deviations of the reference; of chi2, Cohen's "
        "effect size w. null: whatever healthy chunks do not show has drifted, however small.",
    )
    deviations: float = Field(
        default=3.0,
        gt=0,
        description="Healthy chunks are taken to stray by their mean distance and so many standard deviations of it.",
    )
    columns: int = Field(default=2, gt=0, description="Alert when at least so many columns (or all) drift in a chunk.")
    multivariate: tuple[MultivariateMethod, ...] = Field(
        default=("reconstruction",),
        description="Alert also when columns no longer go together. reconstruction: error of a PCA; domain_classifier: "
        "how well LightGBM tells a chunk from the reference, which sees more and takes seconds a chunk. []: neither.",
    )

    @field_validator("multivariate", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError(f"write a list: {'[reconstruction]' if value else '[]'}, not {str(value).lower()}")
        if isinstance(value, list | tuple) and len(set(map(str, value))) < len(value):
            raise ValueError("names a method twice")
        return tuple(value) if isinstance(value, list) else value  # a list of YAML is no tuple to a strict model

    @model_validator(mode="after")
    def _within(self) -> DriftThreshold:
        bounded = [method for method in (self.numbers, self.categories) if method not in ("wasserstein", "chi2")]
        if self.above is not None and self.above > 1 and bounded:
            raise ValueError(f"no {bounded[0]} distance is above {self.above:g}: it goes from 0 to 1")
        return self


class QualityThreshold(Section):
    """When values of a column are not what they used to be, as shares of a chunk, 0 to 1."""

    missing_above: float = Field(
        default=0.05, ge=0, lt=1, description="Alert when a column misses so much more than in the reference."
    )
    unseen_above: float = Field(
        default=0.05, ge=0, lt=1, description="Alert when so many values are categories that the reference never had."
    )
    outside_above: float = Field(
        default=0.05, ge=0, lt=1, description="Alert when so many numbers lie outside the reference's range."
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
    performance: PerformanceThreshold | tuple[PerformanceThreshold, ...] | None = Field(
        default=None,
        description="Performance alert, or a list of them, the first of which is the headline; without it f1 (mae for "
        "regression) against the reference's own.",
    )
    drift: DriftThreshold = Field(default=DriftThreshold(), description="Drift alert.")
    quality: QualityThreshold = Field(default=QualityThreshold(), description="Data quality alert.")
    runner: Literal["processes", "ray"] = Field(
        default="processes",
        description="Who measures chunks side by side: processes of this machine, or a Ray cluster.",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description="So many measure side by side, where there is enough to do; as many as this process may use cores, "
        "if null. With 1 no process is started.",
    )
    alerts: tuple[Alert, ...] = Field(default=(Alert(),), description="Alert plugins, each with its options.")
    remind_every: str | None = Field(
        default=None,
        pattern=r"^[1-9]\d{0,5}[mhd]$",
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

    @property
    def rules(self) -> tuple[PerformanceThreshold, ...]:
        """The performance rules, the headline first; none where the reference alone decides."""
        if self.performance is None:
            return ()
        return (self.performance,) if isinstance(self.performance, PerformanceThreshold) else self.performance
