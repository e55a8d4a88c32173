"""Source `rooms`: listings with rendered room photos, made offline, the same for the same seed.

The renderer itself is `pizzeria_plugins.room_renderer`; `render_listings` there makes listings without writing files,
which is how the demo makes traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.account import Account
from pizzeria.contracts import Progress
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Fraction
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables
from pizzeria_plugins.room_renderer import CLASSES, Shift

if TYPE_CHECKING:
    from pizzeria_plugins.room_renderer.listing import Listing

TASKS = frozenset({"object_detection", "multilabel_classification"})


class Options(PluginOptions):
    """Options of the source `rooms`."""

    listings: int = Field(default=200, ge=1, le=1_000_000, description="Number of listings.")
    photos_per_listing: int = Field(
        default=3, ge=1, le=50, description="Photos of each: a bedroom and a kitchen first, then other rooms."
    )
    seed: int = Field(default=0, ge=0, description="Seed; listing k of a seed is always the same.")
    shift: Shift = Field(
        default="none",
        description="What differs from ordinary photos: dark, blur, styles (furniture never seen before), or all.",
    )
    false_declarations: Fraction = Field(
        default=0.15, description="Expected share of declared amenities that no photo shows."
    )
    missing_declarations: float = Field(
        default=0.1, ge=0, le=1, description="Share of the amenities in the photos that are not declared."
    )


def inputs(options: Options) -> Sequence[Path]:
    """None: everything follows from the options."""
    return ()


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Render the listings; photos go to `folder/photos`."""
    import pandas as pd

    from pizzeria_plugins.room_renderer.listing import render_listing

    (folder / "photos").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    listings: list[dict[str, Any]] = []
    for index in progress.track(range(options.listings), "rendering listings"):
        listing = render_listing(
            index,
            seed=options.seed,
            photos_per_listing=options.photos_per_listing,
            shift=options.shift,
            false_declarations=options.false_declarations,
            missing_declarations=options.missing_declarations,
        )
        _add(listing, folder, images, boxes, listings)
    return Tables(
        images=pd.DataFrame(images),
        boxes=pd.DataFrame(boxes, columns=_BOX_COLUMNS),
        listings=pd.DataFrame(listings),
        account=Account({"images": len(images), "boxes": len(boxes), "listings": len(listings)}),
        classes=CLASSES,
    )


_BOX_COLUMNS = ["box_id", "image_id", "class_name", "x_min", "y_min", "x_max", "y_max", "visible"]


def _add(
    listing: Listing,
    folder: Path,
    images: list[dict[str, Any]],
    boxes: list[dict[str, Any]],
    listings: list[dict[str, Any]],
) -> None:
    for photo in listing.photos:
        path = f"photos/{photo.name}"
        (folder / path).write_bytes(photo.jpeg)
        image_id = Path(photo.name).stem
        images.append({"image_id": image_id, "path": path, "listing_id": listing.listing_id, "room": photo.room})
        for number, seen in enumerate(photo.boxes):
            corners = dict(zip(("x_min", "y_min", "x_max", "y_max"), map(float, seen.box), strict=True))
            row = {"box_id": f"{image_id}-{number}", "image_id": image_id, "class_name": seen.label}
            boxes.append({**row, **corners, "visible": round(seen.visible, 4)})
    listings.append(
        {
            "listing_id": listing.listing_id,
            "declared": list(listing.declared),
            "in_photos": list(listing.in_photos),
        }
    )
