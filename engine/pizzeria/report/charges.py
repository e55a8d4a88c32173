"""What the model cost, and what its answers will: for the report's section on cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pizzeria.report.prices import Charge, batch_charge, serving_charge, training_charge
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import duration, fact, money, plural


def charges(run: RunFolder) -> dict[str, Any] | None:
    """Rows of training, of 1,000 answers on each target and of the catalogue; None before anything was trained."""
    cost: Mapping[str, Any] = run.spec.get("cost") or {}
    package = run.facts("package")
    unit = "row" if run.task.startswith("tabular") else "photo"
    trained = training_charge(cost, run.facts("train"))
    milliseconds = package.get("milliseconds")
    rows = [_row("Training", "", trained, cost)] if trained is not None else []
    if isinstance(milliseconds, int | float):
        rows += _answers(run, cost, f"1,000 {unit}s", 1000, milliseconds)
        catalogue = cost.get("catalogue")
        if catalogue:
            name = f"The catalogue, {plural(catalogue, unit)}"
            bulk = batch_charge(cost, milliseconds, package.get("cores"), catalogue)
            rows += [_row(name, "in bulk", bulk, cost), *_answers(run, cost, name, catalogue, milliseconds)]
    if not rows:
        return None
    for before, row in zip(reversed(rows[:-1]), reversed(rows[1:]), strict=True):
        row["again"] = row["name"] == before["name"]
    priced = any(row["priced"] for row in rows)
    return {"rows": rows, "priced": priced, "note": _note(run, unit, milliseconds, package.get("cores"))}


def _answers(
    run: RunFolder, cost: Mapping[str, Any], name: str, count: int, milliseconds: float
) -> Iterator[dict[str, Any]]:
    """A row for the target of the spec, and for each other one that has a price."""
    own = str((run.spec.get("deployment") or {}).get("use") or "")
    prices: Mapping[str, Any] = cost.get("targets") or {}
    for target in dict.fromkeys([*([own] if own else []), *prices]):
        charge = serving_charge(prices.get(target), milliseconds, count)
        yield _row(name, target, charge, cost) | {"own": target == own}


def _row(name: str, how: str, charge: Charge, cost: Mapping[str, Any]) -> dict[str, Any]:
    hours = charge.hours
    # Small machine times read better in minutes; what is no time of a clock stays in hours.
    clock = charge.unit in ("hours", "machine hours")
    return {
        "name": name,
        "how": how,
        "own": False,
        "again": False,
        "hours": duration(hours * 3600) if clock and hours is not None else fact(hours),
        "unit": charge.unit.removesuffix(" hours").removesuffix("hours") if clock else charge.unit,
        "priced": charge.price is not None,
        "price": money(charge.price, str(cost.get("currency") or "")),
    }


def _note(run: RunFolder, unit: str, milliseconds: Any, cores: Any) -> str:
    if not isinstance(milliseconds, int | float):
        return ""
    on = f" on {plural(cores, 'core')}" if isinstance(cores, int) else ""
    many = ", many in one request" if unit == "row" else ""
    text = f"From {fact(float(milliseconds))} ms for one {unit}, as measured with ONNX Runtime{on}{many}."
    return f"{text} Another machine, and a function of little memory, takes another time."
