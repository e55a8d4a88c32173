"""The sections from `features` to `serving`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from pizzeria.spec.section import PluginSection
from pizzeria.spec.slices import Slice
from pizzeria.spec.thresholds import EACH_BEST, Thresholds
from pizzeria.spec.verification import Verdicts, Verification

_LEAST_RESAMPLES = 100


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
    start: Path | None = Field(
        default=None,
        description="Weights to begin from: a model.safetensors of a train stage of the same model, classes and "
        "columns. null: pretrained or random ones, as the model says.",
    )


class Runner(PluginSection):
    """Where the training is done: it decides how long that takes, and not what comes of it. `runner: ray` is short for
    `runner: {use: ray}`."""

    KIND: ClassVar[str] = "runners"

    use: str = Field(default="local", description="Runner plugin.")


class Tracking(PluginSection):
    """Where a run's curves, metrics and files go besides its own folder. No part of a fingerprint."""

    KIND: ClassVar[str] = "trackers"

    use: str = Field(description="Tracker plugin.")
    patience_s: float = Field(
        default=30, gt=0, le=3600, description="How long a command waits at its end for what is still to be told."
    )


class Evaluation(PluginSection):
    """Phase 6: metrics and calibration; the gate itself is `problem.success`."""

    KIND: ClassVar[str] = "evaluators"

    use: str = Field(default="torchmetrics", description="Evaluator plugin.")
    calibration: Literal["isotonic", "temperature", "none"] = Field(
        default="isotonic",
        description="How scores become probabilities, fitted on the validation split.",
    )
    thresholds: Thresholds = Field(
        default=EACH_BEST,
        description="What the threshold shall do from which a class is said to be there: max_f1, {precision: 0.9} (the "
        "highest recall that keeps it) or {recall: 0.9}; by_class wishes otherwise of some. Detection and multi-label.",
    )
    verdicts: Verdicts = Field(default=Verdicts(), description="How often verdicts on listings must be right.")
    slices: tuple[str | Slice, ...] | None = Field(
        default=None,
        description="Columns whose values are judged apart: [room, brightness, {column: age, edges: [30, 60]}]. null: "
        "room, brightness, the size of objects and the source, or the columns of a table with few values; []: none.",
    )
    least_in_slice: int = Field(
        default=20, ge=2, description="Of a slice with fewer photos or rows no figure is given: it is undecided."
    )
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Of the bootstrap intervals, in which the true figures lie so often."
    )
    resamples: int = Field(
        default=500, ge=0, le=100_000, description="Draws of that bootstrap, at least 100; 0: there are no intervals."
    )

    @field_validator("resamples")
    @classmethod
    def _enough(cls, resamples: int) -> int:
        if 0 < resamples < _LEAST_RESAMPLES:
            raise ValueError(f"{resamples} draws say nothing; write {_LEAST_RESAMPLES} or more, or 0 for no intervals")
        return resamples

    @field_validator("slices")
    @classmethod
    def _once(cls, slices: tuple[str | Slice, ...] | None) -> tuple[str | Slice, ...] | None:
        columns = [one if isinstance(one, str) else one.column for one in slices or ()]
        if twice := sorted({name for name in columns if columns.count(name) > 1}):
            raise ValueError(f"columns named twice: {', '.join(twice)}")
        return slices


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
    hosts: tuple[str, ...] | None = Field(
        default=None,
        description="Names that the service goes by, such as pizzeria.example, besides localhost and its addresses; "
        "others get 421. null: every name, which a proxy in front should check.",
    )
    pages: bool = Field(default=True, description="Offer the page at /, /docs and /openapi.json.")
    metrics: bool = Field(default=True, description="Offer /metrics.")
    log: PredictionLog | None = Field(default=PredictionLog(), description="The prediction log; null: none is kept.")
    feedback: bool = Field(default=True, description="Offer POST /feedback, which takes the truth that comes later.")
    verification: Verification = Field(default=Verification(), description="What rooms say about amenities.")

    @field_validator("hosts")
    @classmethod
    def _names(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in names or ():
            if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", name):
                raise ValueError(f"{name!r} is no name of a host; write it as pizzeria.example, without a port")
        return names

    @field_validator("cors")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?", origin):
                raise ValueError(f"{origin!r} is no origin; write it as https://example.com, without a path")
        return origins
