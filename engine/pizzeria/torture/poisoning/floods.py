"""How somebody may try to spoil a model by what he sends: rows to be answered, and what he says of them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pizzeria.torture.poisoning.shop import INPUTS, STAFF, Row, Shop, draw

Lie = Callable[[Row, float, random.Random], str | None]
"""What is said of a row that the champion answered with this probability of yes; None: nothing."""


def _other(truth: str) -> str:
    return {"yes": "no", "no": "yes"}[truth]


def flipped(row: Row, p: float, chance: random.Random) -> str | None:
    return _other(row["answer"])


def never(row: Row, p: float, chance: random.Random) -> str | None:
    return "no" if row["answer"] == "yes" else None


def at_random(row: Row, p: float, chance: random.Random) -> str | None:
    return chance.choice(["yes", "no"])


def one_kind(row: Row, p: float, chance: random.Random) -> str | None:
    return _other(row["answer"]) if row["kind"] == "a" else row["answer"]


def two_kinds(row: Row, p: float, chance: random.Random) -> str | None:
    return row["answer"] if row["kind"] == "a" else _other(row["answer"])


def where_unsure(row: Row, p: float, chance: random.Random) -> str | None:
    return _other(row["answer"]) if 0.1 < p < 0.9 else row["answer"]


def always(row: Row, p: float, chance: random.Random) -> str | None:
    return "yes"


@dataclass(frozen=True)
class Flood:
    """One way.

    Attributes:
        how: In words, after "labels".
        lie: What is said.
        source: Who it is said to be; `{}` is another number for each label.
        rows: `usual`, `far` (like nothing before), or `one` (a single row over and over, hardly changed).
        days: Over how long it is said.
        over: Whether he says it of what the staff has labelled, later than they.
        times: How often he sends the same.
        strangers: Labels of predictions that never were, besides.
    """

    how: str
    lie: Lie = flipped
    source: str = ""
    rows: str = "usual"
    days: float = 0.02
    over: bool = False
    times: int = 1
    strangers: int = 0

    def draw(self, count: int, chance: random.Random) -> list[Row]:
        """What he asks."""
        if self.rows != "one":
            return draw(count, chance, far=self.rows == "far")
        [row] = draw(1, chance)
        return [row | {"size": round(row["size"] + chance.gauss(0, 1e-3), 4)} for _ in range(count)]

    def labels(
        self, names: Sequence[str], rows: Sequence[Row], p: Sequence[float], until: datetime, chance: random.Random
    ) -> list[dict[str, Any]]:
        """What he sends to `/feedback`."""
        found = []
        for i, (name, row, probability) in enumerate(zip(names, rows, p, strict=True)):
            said = self.lie(row, probability, chance)
            if said is not None:
                at = until - timedelta(days=self.days * (1 - i / len(names)))
                found.append({"prediction_id": name, "class": said, "source": self.source.format(i), "at": _text(at)})
        for _ in range(self.strangers):
            found.append({"prediction_id": f"{uuid.UUID(int=chance.getrandbits(128))}/0", "class": "yes"})
        return found * self.times

    def pour(self, shop: Shop, share: float, honest: int, chance: random.Random) -> dict[str, str]:
        """Traffic of which the staff labels `honest` rows, and somebody else so many that his are `share` of all.

        Returns:
            The truth of all that was asked, by prediction id.
        """
        lies = round(honest * share / (1 - share))
        mine, theirs = draw(honest, chance), self.draw(lies, chance)
        asked = [(row, False) for row in mine] + [(row, True) for row in theirs if not self.over]
        chance.shuffle(asked)
        names = shop.ask([row for row, _ in asked])
        p = [float(one.record()["p:yes"]) for one in shop.predictor().rows([_inputs(row) for row, _ in asked])]
        known = list(zip(names, (row for row, _ in asked), p, (his for _, his in asked), strict=True))
        shop.tell({name: row["answer"] for name, row, _, his in known if not his})
        shop.at += timedelta(hours=2)
        his = known[:lies] if self.over else [one for one in known if one[3]]
        sent = self.labels([one[0] for one in his], [one[1] for one in his], [one[2] for one in his], shop.at, chance)
        statuses = set(shop.feedback(sent))
        if not statuses <= {202}:
            raise RuntimeError(f"/feedback answers {sorted(statuses)}")
        return {name: row["answer"] for name, row, _, _ in known}


def _inputs(row: Row) -> Row:
    return {key: row[key] for key in INPUTS}


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


TURNED = Flood("that turn two of three kinds of rows over", lie=two_kinds)
"""Enough to open the alert `concept`."""
OPPOSITE = Flood("that say the opposite")
UNSURE = Flood("that say the opposite where the model is unsure", lie=where_unsure)
VARIED = (
    OPPOSITE,
    Flood("that never say yes", lie=never),
    Flood("at random", lie=at_random),
    Flood("that turn one kind of rows over", lie=one_kind),
    UNSURE,
)
"""Tried at all shares."""

SINGLE = (
    Flood("that say the opposite, each by another name", source="m{}"),
    Flood("that say the opposite, trickled in over 20 days", source="m", days=20),
    Flood("that say the opposite, in the name of the staff", source=STAFF),
    Flood("that say the opposite of what the staff said, later", over=True),
    Flood("that say the opposite of one row over and over", rows="one"),
    Flood("that say the opposite of rows like nothing before", rows="far"),
    Flood("that always say yes", lie=always),
    Flood("that say the opposite, each sent 20 times", times=20),
    Flood("that say the opposite, and 3,000 of predictions that never were", strangers=3000),
)
"""Tried at two shares."""
