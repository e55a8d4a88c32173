"""What a spec may say of the evaluator `torchmetrics`."""

from __future__ import annotations

from pydantic import Field

from pizzeria.spec.section import Options as _Options


class Options(_Options):
    """What the evaluation shows beside the metrics."""

    worst_mistakes: int = Field(default=24, ge=0, le=200, description="How many of the worst mistakes to show.")
    match_iou: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Detection: overlap (IoU) from which a found and a true box count as the same, in the confusion "
        "matrix and the mistakes; the metrics have IoUs of their own.",
    )
