"""In which order boxes can be painted over one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pizzeria_plugins.room_renderer.solids import Vertex


def back_to_front(lows: Sequence[Vertex], highs: Sequence[Vertex], eye: Vertex) -> list[int]:
    """An order in which boxes that do not overlap can be drawn over one another.

    One box cannot hide another when a plane between them has the other on the eye's side.
    """
    n = len(lows)
    if n == 1:
        return [0]
    low: NDArray[np.float64] = np.array(lows)
    high: NDArray[np.float64] = np.array(highs)
    point: NDArray[np.float64] = np.array(eye)
    apart = high[:, None, :] <= low[None, :, :] + 1e-6
    above, below = np.less(high + 1e-9, point), np.greater(low - 1e-9, point)
    # i may come before j when i lies below j on an axis and the eye is above i, or the other way round.
    first: NDArray[np.bool_] = np.logical_or(
        (apart & above[:, None, :]).any(2), (apart.transpose(1, 0, 2) & below[:, None, :]).any(2)
    )
    must = first & ~first.T
    waits = must.sum(0)
    distance = ((np.maximum(np.maximum(low - point, point - high), 0)) ** 2).sum(1)
    farthest = sorted(range(n), key=lambda i: -distance[i])
    order: list[int] = []
    while farthest:
        index = next((i for i in farthest if waits[i] <= 0), farthest[0])
        farthest.remove(index)
        order.append(index)
        waits = waits - must[index]
    return order
