"""The curves of a training, read from the file that every trainer leaves, while it still grows."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

_PLAIN = ("learning_rate", "seconds")


def rows_after(step: int, places: Sequence[Path]) -> Iterator[tuple[int, dict[str, float]]]:
    """Each epoch after `step` with its figures; what is empty or no number is left out.

    Args:
        step: The last epoch that is known.
        places: Folders in which `curves.csv` may lie; the first that has it counts.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "curves.csv").write_text("epoch,train_loss,f1\\n1,0.9,\\n2,0.5,0.7\\n")
        >>> list(rows_after(0, [folder]))
        [(1, {'train_loss': 0.9}), (2, {'train_loss': 0.5, 'validation_f1': 0.7})]
    """
    text = next((found for folder in places if (found := _read(folder / "curves.csv"))), "")
    for row in csv.DictReader(text.splitlines()):
        epoch = _number(row.pop("epoch", ""))
        if epoch is None or epoch <= step:
            continue
        figures = {_title(name): value for name, cell in row.items() if (value := _number(cell)) is not None}
        yield int(epoch), figures


def _title(name: str) -> str:
    return name if name in _PLAIN or name.endswith("loss") or name.startswith("validation_") else f"validation_{name}"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # not there yet, or renamed at this moment
        return ""


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
