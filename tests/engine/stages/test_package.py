"""What traffic is compared with: today's data, where there are enough of them."""

from __future__ import annotations

import pandas as pd

from pizzeria.stages.package import newest_of
from pizzeria.stages.split import LEAST_WINDOW


def test_the_reference_is_the_window_where_it_is_large_enough() -> None:
    whole = pd.DataFrame({"input_id": [f"r{i}" for i in range(1000)], "feature:x": range(1000)})
    window = tuple(f"r{i}" for i in range(1000 - LEAST_WINDOW, 1000))
    assert newest_of(whole, {"frozen": ("r0",), "window": window})["feature:x"].tolist() == list(range(700, 1000))
    assert newest_of(whole, {"frozen": ("r0",), "window": window[1:]}) is whole
    assert newest_of(whole, {}) is whole
