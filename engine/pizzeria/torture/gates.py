"""Trial: gates that are asked about nothing do not let it through, and do not fall over."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from pizzeria.torture.bench import Bench
from pizzeria.torture.hollow import Question, answers, lives, tables
from pizzeria.torture.trial import Tally

PROMISE = "no gate passes on nothing"


def run(bench: Bench, tally: Tally) -> None:
    """Ask each gate by itself, and then by the commands that users type."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    ask([*answers.questions(), *tables.questions()], tally)
    lives.run(bench, tally)


def ask(questions: Iterable[Question], tally: Tally) -> None:
    """Tell the tally of each question."""
    from pizzeria.errors import PizzeriaError

    for question in questions:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy's, of NaN
                problem = "it passed" if question.ask() else ""
        except PizzeriaError:
            problem = ""  # a refusal in so many words
        except Exception as error:
            problem = f"it fell over: {type(error).__name__}: {str(error)[:200]}"
        tally.note(f"{question.gate}: {question.what}", problem)
