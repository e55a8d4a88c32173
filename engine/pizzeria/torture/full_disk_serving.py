"""A service whose disk is full: it answers as before, keeps what it cannot log, and logs it when there is room.

What it must drop, when a disk stays full for so long that the queue is too, is shown by the tests of the queue: it
takes a million predictions.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import yaml

from pizzeria import registry
from pizzeria.deployments.release import log_folder
from pizzeria.loading import load_resolved
from pizzeria.runs.store import Store
from pizzeria.torture.commands import Case
from pizzeria.torture.leaks import living
from pizzeria.torture.traffic import garbage, pages

if TYPE_CHECKING:
    import httpx

_REQUESTS = 300
_CATCHES_UP_S = 60.0
_COUNTED = re.compile(r'^pizzeria_prediction_records_total\{outcome="(\w+)"\} (\S+)$', re.MULTILINE)
Note = Callable[[str, str], object]


def serve_on(case: Case, name: str, fill: Callable[[], object], empty: Callable[[], object], note: Note) -> None:
    """Ask a live service while its disk has no room, and afterwards.

    Args:
        name: Of the try whose service it is.
        fill: Takes all room of its disk.
        empty: Gives it back.
    """
    import httpx

    port = yaml.safe_load(case.spec.read_text())["deployment"]["port"]
    before = {process.pid for process in living(case.store(name))}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        known = _logged(case, name)
        asked = sum(_predict(client, case, note, "with room") for _ in range(20))
        fill()
        for i in range(_REQUESTS):
            if i % 4 == 3:
                what, answer, expected = (pages, garbage)[i % 8 == 3](client, case.bench.random)
                note(
                    f"{what} on a full disk", "" if answer.status_code in expected else f"answered {answer.status_code}"
                )
            else:
                asked += _predict(client, case, note, "on a full disk")
        _labels_are_refused(client, note)
        log = client.get("/readyz").json().get("log", {})
        note("/readyz on a full disk", "" if log.get("trouble") else f"it says nothing of the log's trouble: {log}")
        empty()
        asked += _predict(client, case, note, "when there is room again")
        counts = _caught_up(client)
        told = ", ".join(f"{what} {number:.0f}" for what, number in counts.items())
        note(f"the log catches up ({told})", "" if not counts["waiting"] else f"{counts['waiting']:.0f} records wait")
        lost = counts.get("dropped", 0.0)
        note("each record is there, or counted as lost", _missing(_logged(case, name) - known, asked - lost))
    gone = before - {process.pid for process in living(case.store(name))}
    note("the processes of the service", f"{len(gone)} of {len(before)} have died" if gone else "")


def _predict(client: httpx.Client, case: Case, note: Note, when: str) -> int:
    """Ask for some rows; returns for how many an answer came."""
    draw = case.bench.random
    rows = [
        {
            "row_id": f"f{draw.getrandbits(48)}",
            "size": draw.gauss(0, 1),
            "age": draw.gauss(0, 1),
            "kind": draw.choice("abc"),
        }
        for _ in range(draw.choice([1, 1, 5, 50]))
    ]
    answer = client.post("/predict", json={"rows": rows})
    note(f"POST /predict {when}", "" if answer.status_code == 200 else f"answered {answer.status_code}: {answer.text}")
    return len(rows) if answer.status_code == 200 else 0


def _labels_are_refused(client: httpx.Client, note: Note) -> None:
    """A label that is accepted is written, so that on a full disk it must be refused."""
    label = {"input_id": "r0", "class": "yes"}
    answer = client.post("/feedback", json={"labels": [label]})
    refused = answer.status_code == 503 and "Retry-After" in answer.headers
    note("POST /feedback on a full disk", "" if refused else f"answered {answer.status_code}: {answer.text}")


def _caught_up(client: httpx.Client) -> dict[str, float]:
    """What the service has counted, when nothing waits any more, or too long."""
    until = time.monotonic() + _CATCHES_UP_S
    while (log := client.get("/readyz").json()["log"])["waiting"] and time.monotonic() < until:
        time.sleep(0.5)
    found = {what: float(number) for what, number in _COUNTED.findall(client.get("/metrics").text)}
    return found | {"waiting": float(log["waiting"])}


def _logged(case: Case, name: str) -> int:
    """How many predictions the log has."""
    store = Store(case.store(name))
    spec = load_resolved(store.run(case.spec.stem).folder / "spec.yaml")
    assert spec.serving.log is not None
    plugin = registry.load("prediction_logs", spec.serving.log.use)
    return len(plugin.read(spec.serving.log.options, log_folder(store, spec.name)))


def _missing(found: float, expected: float) -> str:
    return "" if found >= expected else f"{found:.0f} of {expected:.0f} are there"
