"""What the champion learnt from and was tested on, under the keys that joined data have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.intake.joining import named
from pizzeria.maintenance.kept import read_kept
from pizzeria.runs.seals import RESULT
from pizzeria.runs.store import Run
from pizzeria.spec.spec import Spec
from pizzeria.splitting.content import contents

if TYPE_CHECKING:
    import pandas as pd

DOUBTED = "doubted"
"""Why an example of a version was left out, where its label is not believed: it may be new again the next time."""


@dataclass(frozen=True)
class Lineage:
    """The champion's data.

    Attributes:
        run: The champion's.
        version: Number of the version that it learnt from; None where it learnt from the spec's own sources alone.
        rows: [M] `key` (as joined), `own` (as in the champion's tables), `was` (its side from the first), `rank`, and
            `content` (of test rows), of all rows that are no collected examples.
        sides: By prediction id, the side of each collected example that the champion has seen.
        truths: By prediction id, the label of each of these.
        fingerprint: Of what decides all this.
    """

    run: Run
    version: int | None
    rows: pd.DataFrame
    sides: Mapping[str, str]
    truths: Mapping[str, str]
    fingerprint: str


def lineage(spec: Spec, run: Run, root: Path) -> Lineage:
    """The champion's data.

    Args:
        root: `runs/.collected/<name>`.

    Raises:
        NotFoundError: the run lacks a stage.
    """
    import pandas as pd

    split = run.stage("split")
    splits = pd.read_parquet(split / "splits.parquet")
    splits["key"] = splits["key"].astype(str)
    fingerprint = str(json.loads((split / RESULT).read_text())["fingerprint"])
    version = version_of(spec, root)
    if version is None:
        sources = named(spec.data)
        prefix = f"{sources[0][0]}:" if len(sources) == 1 else ""
        rows = pd.DataFrame(
            {"key": prefix + splits["key"], "own": splits["key"], "was": splits["split"].astype(object)}
        )
        return Lineage(run, None, _described(rows, spec, run), {}, {}, fingerprint)
    folder = root / str(version)
    fixed = pd.read_parquet(folder / "fixed.parquet")
    collected = named(spec.data)[-1][0] + ":"
    of_base = fixed[fixed["was"] != ""]
    mine = splits["key"].str.startswith(collected)
    # Rows that the source got since, which went to train or validation.
    later = splits[~mine & ~splits["key"].isin(of_base["key"])]
    keys = pd.concat([of_base["key"], later["key"]], ignore_index=True)
    was = pd.concat([of_base["was"], later["split"]], ignore_index=True).astype(object)
    rows = pd.DataFrame({"key": keys, "own": keys, "was": was})
    examples = read_kept(folder)
    assert examples is not None
    seen = examples[examples["why"] != DOUBTED]
    side_of = dict(zip(splits["key"][mine], splits["split"][mine].astype(str), strict=True))
    ids = seen["prediction_id"].tolist()
    sides = {name: side_of.get(key, "") for name, key in zip(ids, seen["key"], strict=True)}
    truths = dict(zip(ids, seen["truth"], strict=True))
    return Lineage(run, version, _described(rows, spec, run), sides, truths, fingerprint)


def version_of(spec: Spec, root: Path) -> int | None:
    """The version of collected data that a spec learns from; None where it learns from none."""
    fixed = spec.data.split.fixed
    if fixed is None or fixed.parent.parent.resolve() != root.resolve() or not fixed.parent.name.isdigit():
        return None
    return int(fixed.parent.name)


def _described(rows: pd.DataFrame, spec: Spec, run: Run) -> pd.DataFrame:
    folder = run.stage("collect")
    file = next(folder / name for name in ("images.parquet", "rows.parquet") if (folder / name).exists())
    held = contents(file, rows["own"][rows["was"] == "test"].tolist())
    return _ranked(rows.assign(content=rows["own"].map(held)), spec, run)


def _ranked(rows: pd.DataFrame, spec: Spec, run: Run) -> pd.DataFrame:
    """With `rank`: the place in the order of data.split.order_by, or a hash of the key; of use to memory alone."""
    import pandas as pd

    if spec.maintenance.memory is None:
        return rows.assign(rank=0.0)
    column = spec.data.split.order_by
    if column is None:
        return rows.assign(rank=pd.util.hash_array(rows["key"].to_numpy(object)).astype("float64"))
    values = column_of(run, column)
    return rows.assign(rank=rows["own"].map(values.rank(method="first")).fillna(0.0).astype("float64"))


def column_of(run: Run, column: str) -> pd.Series[Any]:
    """A column of the champion's photos or rows, by key; empty where there is no such column."""
    import pandas as pd
    import pyarrow.parquet as pq

    folder = run.stage("collect")
    for file, key in (("images.parquet", "image_id"), ("rows.parquet", "row_id")):
        if (folder / file).exists():
            if column not in pq.read_schema(folder / file).names:
                return pd.Series(dtype=object)
            found = pq.read_table(folder / file, columns=[key, column]).to_pandas()
            return pd.Series(found[column].to_numpy(), index=found[key].astype(str))
    return pd.Series(dtype=object)
