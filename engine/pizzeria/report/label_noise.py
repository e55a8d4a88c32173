"""Photos whose label is probably wrong, as pictures, with the label that they have and the one that is suggested."""

from __future__ import annotations

from typing import Any

from pizzeria.report.photos import Album
from pizzeria.report.run_folder import RunFolder

PICTURES = 24
SIDE = 240


def section(run: RunFolder, album: Album) -> dict[str, Any] | None:
    """None where the features did not look for them."""
    path = run.file("features", "label_noise.parquet")
    if path is None:
        return None
    import pandas as pd

    found = pd.read_parquet(path)
    columns = ["given", "suggested", "given_probability", "suggested_probability"]
    shown = [
        {"photo": (album.small(str(one["image_id"]), SIDE) or (None,))[0], "key": str(one["image_id"])}
        | {name: one[name] for name in columns}
        for one in found.head(PICTURES).to_dict("records")
    ]
    return {"count": len(found), "shown": shown, "more": len(found) - len(shown)}
