"""The sections from `features` to `maintenance`."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from pizzeria.spec.section import PluginSection, Section
from pizzeria.spec.verification import Verdicts, Verification


class Features(PluginSection):
    """Phase 4: photos resized and measured, or columns standardised with the training split's statistics."""

    KIND: ClassVar[str] = "features"

    use: str = Field(description="Features plugin.")


class Model(PluginSection):
    """Phase 5: the network."""

    KIND: ClassVar[str] = "models"

    use: str = Field(description="Model plugin.")


class Training(PluginSection):
    """Phase 5: how the network is trained."""

    KIND: ClassVar[str] = "trainers"

    use: str = Field(default="lightning", description="Trainer plugin.")
    seed: int = Field(default=0, ge=0, description="Seed of weights, order and augmentation.")


class Evaluation(PluginSection):
    """Phase 6: metrics and calibration; the gate itself is `problem.success`."""

    KIND: ClassVar[str] = "evaluators"

    use: str = Field(default="torchmetrics", description="Evaluator plugin.")
    calibration: Literal["isotonic", "temperature", "none"] = Field(
        default="isotonic",
        description="How scores become probabilities, fitted on the validation split.",
    )
    verdicts: Verdicts = Field(default=Verdicts(), description="How often verdicts on listings must be right.")


class PredictionLog(PluginSection):
    """Where each prediction of a service is kept for monitoring, what of it, and for how long."""

    KIND: ClassVar[str] = "prediction_logs"

    use: str = Field(default="sqlite", description="Prediction log plugin.")
    photos: bool = Field(default=False, description="Keep the photos too, as they came.")
    keep: str | None = Field(
        default=None,
        pattern=r"^\d+[hd]$",
        description="Older records and photos are deleted: 12h, 90d ... null: never.",
    )
    redact: tuple[str, ...] = Field(
        default=(),
        description="What is left out of the records: input_id, listing_id, embedding, feature:<column> or feature:*.",
    )

    @field_validator("redact")
    @classmethod
    def _redactable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in ("input_id", "listing_id", "embedding") and not name.startswith("feature:"):
                raise ValueError(
                    f"{name!r} cannot be left out; input_id, listing_id, embedding, feature:<column> and feature:* can"
                )
        return names


class Serving(PluginSection):
    """Phases 7 and 8: how the bundle answers, and the limits that protect it."""

    KIND: ClassVar[str] = "servers"

    use: str = Field(default="bentoml", description="Server plugin.")
    max_body_mb: float = Field(default=10, gt=0, le=1024, description="Larger bodies are refused with 413.")
    max_megapixels: float = Field(default=40, gt=0, le=1000, description="Larger photos are refused with 413.")
    max_rows: int = Field(default=10_000, gt=0, description="Tabular: rows in one request, or 413.")
    max_concurrency: int | None = Field(
        default=None,
        gt=0,
        description="Requests at work at once; one more gets 429. null: three for each core that the service may use, "
        "so that nobody waits much longer than an answer takes.",
    )
    timeout_s: float = Field(default=30, gt=0, description="A request that takes longer is given up with 504.")
    formats: tuple[Literal["jpeg", "png", "webp"], ...] = Field(
        default=("jpeg", "png", "webp"), min_length=1, description="Photos of another format are refused with 415."
    )
    keys_from: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable with the API keys, with commas between; null: no key is asked for.",
    )
    cors: tuple[str, ...] = Field(
        default=(), description="Origins of other sites whose pages may call the service: https://example.com ..."
    )
    pages: bool = Field(default=True, description="Offer the page at /, /docs and /openapi.json.")
    metrics: bool = Field(default=True, description="Offer /metrics.")
    log: PredictionLog | None = Field(default=PredictionLog(), description="The prediction log; null: none is kept.")
    feedback: bool = Field(default=True, description="Offer POST /feedback, which takes the truth that comes later.")
    verification: Verification = Field(default=Verification(), description="What rooms say about amenities.")

    @field_validator("cors")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?", origin):
                raise ValueError(f"{origin!r} is no origin; write it as https://example.com, without a path")
        return origins


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


class Maintenance(Section):
    """Phase 10: when a new model is trained."""

    retrain_on: tuple[Literal["performance", "drift"], ...] = Field(
        default=("performance", "drift"), description="Alerts that call for a new model."
    )
    at_most_every: str = Field(
        default="1d", pattern=r"^\d+[smhd]$", description="Least time between two new models: 30m, 12h, 1d ..."
    )
