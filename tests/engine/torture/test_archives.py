"""The trial `archives` sees what it claims to see: breaks are planted."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from pizzeria.torture import archives
from pizzeria.torture.bench import Bench
from pizzeria.torture.hostile_archives import Attack, attacks, service

SEEN = {"end": "refused", "message": "it leads out", "seconds": 0.1, "grown": 10, "wrote": []}


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (SEEN, ""),
        (None, "no end within"),
        (SEEN | {"end": ""}, "it was taken"),
        (SEEN | {"end": "IndexError"}, "it fell over: IndexError"),
        (SEEN | {"end": "MemoryError"}, "it fell over: MemoryError"),
        (SEEN | {"wrote": ["/srv/out"]}, "it wrote to /srv/out"),
        (SEEN | {"grown": 3000}, "grew by 3000 MiB"),
        (SEEN | {"message": "found root:x:0:0"}, "tells what is in /etc/passwd"),
    ],
)
def test_what_is_wrong_is_told(seen: dict[str, Any] | None, problem: str) -> None:
    found = archives.judge(Attack("fetch", "what", lambda folder: folder), seen)
    assert problem in found
    assert bool(found) is bool(problem)


def _tried(folder: Path, *whats: str) -> dict[str, str]:
    folder.mkdir(parents=True)
    bench = Bench(folder, True, random.Random(0))
    chosen = [attack for attack in attacks() if f"{attack.door}: {attack.what}" in whats]
    assert len(chosen) == len(whats)
    cases = [archives._case(folder / "tried", i, attack) for i, attack in enumerate(chosen)]
    archives._kitchen(bench, cases)
    return {
        attack.what: archives.judge(attack, archives._seen(case)) for attack, case in zip(chosen, cases, strict=True)
    }


def test_a_pizzeria_that_trusts_names_is_seen_to_write_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the check of names is off, and so is that of the bytes that come out."""
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(
        "import pizzeria.fetching.archive as archive\n"
        "archive.safe = lambda name, where: name\n"
        "archive._LARGEST_HEADER = 1 << 62\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(planted))
    found = _tried(
        tmp_path / "1" / "2" / "3",
        "fetch: zip that holds '../../../../../../srv/out'",
        "fetch: tar with a pax header of 4 GiB",
    )
    assert "it wrote to open" in found["zip that holds '../../../../../../srv/out'"]
    assert found["tar with a pax header of 4 GiB"]
    assert list(tmp_path.rglob("srv/out"))


def test_every_attack_is_made_in_its_own_folder_and_told_apart(tmp_path: Path) -> None:
    every = list(attacks())
    assert len({(attack.door, attack.what) for attack in every}) == len(every)
    light = [attack for attack in every if not attack.heavy]
    for i, attack in enumerate(light[::30]):
        folder = tmp_path / str(i)
        folder.mkdir()
        assert attack.make(folder).is_relative_to(folder)


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (400, {"error": {"code": "a", "message": "b", "hint": "c"}}, ""),
        (200, {"boxes": []}, "it was taken"),
        (500, {"error": {"code": "a", "message": "b", "hint": "c"}}, "it answers 500"),
        (0, None, "it answers 0"),
        (413, {"error": {"code": "a"}}, "without a hint"),
        (400, "no", "400 with"),
    ],
)
def test_answers_of_the_service(status: int, body: Any, problem: str) -> None:
    found = service.judge(status, json.dumps(body).encode(), taken=False)
    assert problem in found
    assert bool(found) is bool(problem)
