"""Verdicts on all listings of a table, in one file that is written whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.prediction import write_predictions
from pizzeria.verification.journal import Journal
from pizzeria.verification.judge import Judge, verify_listings
from pizzeria.verification.listings import Listing

OUTPUTS = frozenset({".csv", ".parquet", ".json", ".jsonl"})
_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_ORDER = ("listing_id", "amenity", "verdict", "probability", "reason", "evidence", *_CORNERS)


@dataclass(frozen=True)
class Verified:
    """What came of it.

    Attributes:
        listings: How many.
        resumed: Those of them that an earlier, cut-off call had judged.
        faults: Listings that could not be judged.
        unreadable: Photos that could not be read.
    """

    listings: int
    resumed: int
    faults: int
    unreadable: int


def verify_to(out: Path, judge: Judge, listings: Sequence[Listing], progress: Progress) -> Verified:
    """Judge all listings, and write `out` when all are judged.

    Until then the results lie in `<out>.journal`. A call that was cut off goes on behind the last of them, where
    bundles, settings, listings and photos (by size and time) are the same; otherwise it says so and begins anew. The
    output is the same, byte for byte, as that of a call that was not cut off.

    Args:
        out: .csv or .parquet (`verdict_rows`), .json or .jsonl (results whole, as `Judge.judge` gives them).
        judge: The bundle.
        listings: From `read_listings`.
        progress: Told of each listing.

    Raises:
        DataError: another ending; or another process is at the same output.
    """
    if out.suffix not in OUTPUTS:
        raise DataError(f"{out} ends in none of {', '.join(sorted(OUTPUTS))}", hint="choose one of them for --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    header = {"pizzeria": version("pizzeria"), **judge.identity(), "listings": _fingerprint(listings)}
    with Journal(out.with_name(f"{out.name}.journal"), header) as journal:
        if journal.anew:
            progress.say(f"{journal.path} is of another bundle, of other settings or listings; beginning anew")
        results, resumed = journal.results, len(journal.results)
        if resumed:
            progress.say(f"going on after {resumed} of {len(listings)} listings")
        for result in verify_listings(judge, listings, progress, resumed):
            journal.add(result)
        _write(results, out)
        journal.remove()
    faults = sum(bool(result["fault"]) for result in results)
    return Verified(len(results), resumed, faults, sum(len(result["unreadable"]) for result in results))


def verdict_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Flat rows for CSV, Parquet and the terminal: one for each listing and amenity, broken photo or broken listing.

    Returns:
        `listing_id`, `amenity`, `verdict` (confirmed, uncertain, not shown, seen but not declared, not judged,
        unreadable photo, broken listing), `probability`, `reason`, `evidence` (the photo's name) and its box in pixels.
    """
    rows: list[dict[str, Any]] = []
    for result in results:
        head = {"listing_id": result["listing_id"]}
        rows += [head | _flat(verdict) for verdict in result["verdicts"]]
        rows += [head | {"verdict": "seen but not declared"} | _flat(seen) for seen in result["undeclared"]]
        rows += [head | {"amenity": name, "verdict": "not judged"} for name in result.get("not_judged", ())]
        rows += [
            head | {"verdict": "unreadable photo", "evidence": name, "reason": reason}
            for name, reason in result.get("unreadable", {}).items()
        ]
        if result.get("fault"):
            rows.append(head | {"verdict": "broken listing", "reason": result["fault"]})
    return [{name: row.get(name) for name in _ORDER} for row in rows]


def _flat(judged: Mapping[str, Any]) -> dict[str, Any]:
    evidence = judged["evidence"] or {}
    box = evidence.get("box") or {}
    return {**judged, "evidence": evidence.get("photo"), **{corner: box.get(corner) for corner in _CORNERS}}


def _fingerprint(listings: Sequence[Listing]) -> str:
    """Of what the listings say, and of their photos by size and time of change."""
    digest = hashlib.sha256()
    for one in listings:
        photos = [(str(path), *_stamp(path)) for path in one.photos]
        line = json.dumps([one.listing_id, one.declared, one.fault, photos])
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)


def _write(results: Sequence[Mapping[str, Any]], out: Path) -> None:
    if out.suffix == ".json":
        atomic.write_json(out, list(results))
    elif out.suffix == ".jsonl":
        lines = [json.dumps(result, ensure_ascii=False, allow_nan=False) for result in results]
        atomic.write_bytes(out, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    else:
        write_predictions(verdict_rows(results), "", out)
