"""What a spec may say of the evaluator `torchmetrics`."""

from __future__ import annotations

from pydantic import Field

from pizzeria.spec.section import Options as _Options


class Options(_Options):
    """What the evaluation shows beside the metrics."""

    worst_mistakes: int = Field(default=24, ge=0, le=200, description="How many of the worst mistakes to show.")
    worst_photos: int = Field(
        default=12, ge=0, le=100, description="Detection: how many of the photos with the worst mistakes to show."
    )
    match_iou: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Detection: overlap (IoU) from which a found and a true box count as the same: in the confusion "
        "matrix, the kinds of errors, and the precision and recall of boxes; average precision has IoUs of its own.",
    )
