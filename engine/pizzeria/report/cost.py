"""The sections on what the run cost, whether the export answers as the network does, and where all of it came from."""

from __future__ import annotations

from typing import Any

from pizzeria.report.charges import charges
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.verdict import ORDER
from pizzeria.report.wording import moment, rows_of


def cost(run: RunFolder) -> dict[str, Any] | None:
    """Seconds of each stage, and what training and answers cost; None before anything ran."""
    rows: list[dict[str, Any]] = []
    for name in _stages(run):
        seconds = run.result(name).get("seconds")
        if isinstance(seconds, int | float):
            rows.append({"name": name, "seconds": float(seconds), "facts": rows_of(run.facts(name))})
    if not rows:
        return None
    total = sum(row["seconds"] for row in rows)
    most = max(row["seconds"] for row in rows)
    return {"rows": rows, "total": total, "most": most or 1.0, "tiles": _speeds(run), "charges": charges(run)}


def _speeds(run: RunFolder) -> list[dict[str, Any]]:
    """Training throughput, the time of one answer and the bundle's size, where the stages tell them."""
    train, package = run.facts("train"), run.facts("package")
    unit = "row" if run.task.startswith("tabular") else "photo"
    size = package.get("bytes")
    tiles = [
        {"title": f"{unit.capitalize()}s a second, training", "value": train.get("items_per_second"), "digits": 1},
        {"title": f"ms for one {unit}, ONNX on CPU", "value": package.get("milliseconds"), "digits": 1},
        {"title": "MB, bundle", "value": size / 1e6 if isinstance(size, int | float) else None, "digits": 1},
    ]
    return [tile for tile in tiles if isinstance(tile["value"], int | float)]


def parity(run: RunFolder) -> dict[str, Any] | None:
    """What the check of ONNX against the trained network measured; None when nothing was packaged."""
    found = run.json("package", "parity.json")
    return {"rows": rows_of(found)} if isinstance(found, dict) and found else None


def lineage(run: RunFolder) -> dict[str, Any] | None:
    """Fingerprints of the stages, the bundle's identity, and versions."""
    stages = [
        {"name": name, "fingerprint": str(result.get("fingerprint") or ""), "started": moment(result.get("started"))}
        for name in _stages(run)
        if (result := run.result(name))
    ]
    deployment = rows_of(run.facts("deploy"))
    if not stages:
        return None
    return {
        "stages": stages,
        "bundle": bundle_sha256(run),
        "deployment": deployment,
        "versions": rows_of(run.bundle.get("versions") or {}),
        "lineage": rows_of(run.bundle.get("lineage") or {}),
    }


def bundle_sha256(run: RunFolder) -> str:
    """The bundle's identity; empty when nothing was packaged."""
    from pizzeria.inference.bundle import identity

    manifest = run.json("package", "bundle/manifest.json")
    return identity(manifest) if isinstance(manifest, dict) else str(run.facts("package").get("sha256") or "")


def _stages(run: RunFolder) -> list[str]:
    return [n for n in ORDER if n in run.stages] + [n for n in run.stages if n not in ORDER]
