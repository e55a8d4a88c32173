"""A monitor for tests: it rings while a file `bell` lies in the working folder, one chunk after the other.

With the file `meaning` beside it, it also says that inputs mean something else than they did.

Tests copy it to ./plugins/monitors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from pizzeria.contracts import Alarm, Finding, Judged, Progress, Traffic, Verdict
from pizzeria.spec.section import Options as PluginOptions


class Options(PluginOptions):
    """None."""


def judge(
    options: Options,
    monitoring: Any,
    problem: Any,
    reference: pd.DataFrame,
    traffic: Traffic,
    memory: Path,
    progress: Progress,
) -> Verdict:
    rows = sum(len(piece) for piece in traffic.batches())
    number = len(list(memory.iterdir())) + 1
    (memory / str(number)).touch()
    name, rings = str(number), Path("bell").exists()
    finding = Finding("drift", "columns", name, "", "", 0.5, "rings", rings)
    alarms = (Alarm("drift", "columns", name, "", "", "the bell rings"),) if rings else ()
    changed = rings and Path("meaning").exists()
    meaning = Finding("concept", "bias", name, "", "", 0.5, "changed", changed)
    alarms += (Alarm("concept", "bias", name, "", "", "larger flats cost less now"),) if changed else ()
    return Verdict((finding, meaning), alarms, (), chunks=(Judged(name, "", "", rows, 0, False),))
