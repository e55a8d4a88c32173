"""What each part of the monitor offers: fitted once on the reference, it measures chunk by chunk, and judges later.

What was measured of a chunk is a reading: plain data that `memory` keeps, so that a chunk is measured once. What a
reading means is judged anew in each pass: a changed threshold costs no measuring.

Each part is a module with `fit(context: Context) -> Instrument | None`, None where it has nothing to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pizzeria.contracts import Alarm, Finding
from pizzeria.spec.monitoring import Monitoring
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors.chunks import Part

if TYPE_CHECKING:
    import pandas as pd

    from pizzeria_plugins.monitors.schema import Read, Schema

T = TypeVar("T")

Reading = Mapping[str, Any]
"""Plain data as JSON has them; NaN is None. A row for each subject: {"f1": {"value": 0.8, "error": 0.02}}."""


@dataclass(frozen=True)
class Context:
    """What instruments are fitted on.

    Attributes:
        nml: NannyML, from `library.load()`.
        options: Of the plugin: `pizzeria_plugins.monitors.nannyml.Options`.
        reference: [M] records with the truth, oldest first, index 0 to M - 1.
        parts: The reference cut into chunks as long as those of the traffic; one with all of it where that makes too
            few (`chunks.cut_reference`).
        schema: Which columns are compared, and ...
        numbers: ... the reference read so.
        remember: `remember(key, make)` is what `make()` gives, plain data as JSON has them, or what it gave in an
            earlier pass for the same key, reference and code: for what takes long and depends on the reference alone,
            such as how far healthy chunks of a size stray. The key is plain data too, with all that `make` depends on.
    """

    nml: Any
    options: Any
    monitoring: Monitoring
    problem: Problem
    reference: pd.DataFrame
    parts: Sequence[Part]
    schema: Schema
    numbers: Read
    remember: Callable[[Any, Callable[[], T]], T]


@dataclass(frozen=True)
class Judgement:
    """What an instrument makes of its readings."""

    findings: tuple[Finding, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    undecided: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Title to plotly figure."""


@dataclass(frozen=True)
class Known:
    """All that is known when readings are judged.

    Attributes:
        parts: Chunks that were measured, oldest first: those of this pass, and the latest before them, since an alarm,
            a ranking and a figure may need those before.
        fresh: Names of those whose findings, alarms and undecided texts are wanted: those of this pass.
        readings: By the instrument's name, by chunk: also those of the others. A chunk may lack one of them.
    """

    parts: Sequence[Part]
    fresh: frozenset[str]
    readings: Mapping[str, Mapping[str, Reading]]

    def of(self, name: str) -> list[tuple[Part, Reading]]:
        """The readings of one instrument, oldest chunk first."""
        own = self.readings.get(name, {})
        return [(part, own[part.name]) for part in self.parts if part.name in own]


class Instrument(Protocol):
    """A fitted part of the monitor. It goes to other processes by pickle: no open file, no local class, no lambda."""

    name: str
    """Of its readings, the same for good: `performance`, `drift`."""

    settings: Mapping[str, Any]
    """What its readings depend on besides the reference, the code and the traffic, as plain data: with others they are
    measured anew."""

    truth: bool
    """Whether its readings depend on the truth: only then is a chunk measured again because labels came."""

    def wants(self, column: str) -> bool:
        """Whether it reads this column of the records; what nobody wants is not read from the log."""

    def measure(self, chunk: pd.DataFrame, part: Part) -> Reading:
        """Measure a chunk of traffic. Never raises for what a client sent: what cannot be measured is None.

        Args:
            chunk: [N] records, index 0 to N - 1; of any types, as clients sent them. Not to be changed. All instruments
                get the same object, so that what was made of it can be shared.
            part: `first` is 0 and `stop` N.
        """

    def judge(self, known: Known) -> Judgement:
        """Say what readings mean. Alarms of one kind and subject in one chunk are one."""
