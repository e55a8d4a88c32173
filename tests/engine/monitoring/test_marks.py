"""Which labels count as new: each once, whatever the clocks of those who keep them say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.inference.truth import Label, moment
from pizzeria.monitoring.marks import BACK, Sieve

START = datetime(2026, 5, 1, tzinfo=UTC)


class Kept:
    """Labels as a log has them."""

    def __init__(self) -> None:
        self.labels: list[tuple[str, Label]] = []

    def add(self, name: str, minutes: float) -> None:
        self.labels.append((moment(START + timedelta(minutes=minutes)), Label("prediction_id", name, "{}")))

    def since(self, start: str) -> Iterator[tuple[str, Label]]:
        return iter(sorted(((at, one) for at, one in self.labels if at >= start), key=lambda pair: pair[0]))

    def look(self, mark: str) -> tuple[list[str], str]:
        sieve = Sieve(mark)
        return [label.name for label in sieve.news(self.since)], sieve.mark()


def test_each_look_tells_what_came_since() -> None:
    kept = Kept()
    assert kept.look("") == ([], "")
    kept.add("a", 0)
    kept.add("b", 30)
    names, mark = kept.look("")
    assert names == ["a", "b"]
    assert kept.look(mark) == ([], mark)
    kept.add("c", 31)
    names, mark = kept.look(mark)
    assert names == ["c"]
    assert kept.look(mark) == ([], mark)


def test_a_mark_of_another_kind_is_none() -> None:
    kept = Kept()
    kept.add("a", 0)
    assert kept.look("all")[0] == ["a"]


def test_pruned_labels_are_no_news() -> None:
    kept = Kept()
    kept.add("a", 0)
    _, mark = kept.look("")
    kept.labels.clear()
    names, mark = kept.look(mark)
    assert names == []
    assert kept.look(mark)[0] == []
    kept.add("b", 60)
    assert kept.look(mark)[0] == ["b"]


def test_labels_of_a_log_that_cannot_tell_when_they_came() -> None:
    labels = [Label("input_id", "a", "{}")]
    sieve = Sieve("")
    assert len(list(sieve.news(lambda _: (("", one) for one in labels)))) == 1
    mark = sieve.mark()
    assert list(Sieve(mark).news(lambda _: (("", one) for one in labels))) == []
    labels.append(Label("input_id", "b", "{}"))
    assert len(list(Sieve(mark).news(lambda _: (("", one) for one in labels)))) == 2


@settings(max_examples=40)
@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 9.9)), max_size=4), min_size=1, max_size=6))
def test_none_is_lost_whose_clock_is_within_the_bounds(looks: list[list[tuple[int, float]]]) -> None:
    """Each comes at the time of the look, less what its clock is behind: up to ten minutes."""
    assert timedelta(minutes=10) == BACK
    kept, mark, told, count = Kept(), "", set(), 0
    for number, labels in enumerate(looks):
        for _, behind in labels:
            kept.add(str(count), 3 * number + 100 - behind + 3)
            count += 1
        names, mark = kept.look(mark)
        told |= set(names)
        assert told == {str(name) for name in range(count)}
        assert kept.look(mark) == ([], mark)
