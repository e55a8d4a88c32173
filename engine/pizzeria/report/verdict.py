"""How a run ended, its success criteria, and where it stands in the ten phases of the life cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import duration, metric_meaning, metric_title, number, plural


@dataclass(frozen=True)
class Outcome:
    """The badge in the header: `tone` is good, bad or quiet."""

    title: str
    tone: str
    detail: str = ""
    message: str = ""
    """What the stage said that refused to go on."""
    hint: str = ""


def outcome(run: RunFolder) -> Outcome:
    """The furthest point that the run reached, or what stopped it."""
    unmet, expectations = _unmet(run, "validate", "expectations.json", "success")
    missed, asked = _unmet(run, "evaluate", "gate.json", "passed")
    refused, refusal = run.refusal or ("", {})
    message, hint = refusal.get("message", ""), refusal.get("hint", "")
    if refused == "validate" or unmet:
        return Outcome("Expectations failed", "bad", f"{unmet} of {expectations}", message, hint)
    if refused == "leakage":
        return Outcome("Leakage", "bad", f"{run.facts('leakage').get('leaks', '')} found", message, hint)
    if refused == "evaluate" or missed:
        return Outcome("Stopped at the gate", "bad", f"{missed} of {asked} criteria not met", message, hint)
    if refused:
        title = "Parity failed" if refused == "package" else f"Stopped at {refused}"
        return Outcome(title, "bad", "", message, hint)
    if run.result("deploy"):
        return Outcome("Deployed", "good")
    if run.result("package"):
        return Outcome("Packaged", "good", "not deployed")
    done = [stage for stage in ORDER if run.result(stage)]
    return Outcome("Unfinished", "quiet", f"after {done[-1]}" if done else "nothing has run")


def _unmet(run: RunFolder, stage: str, name: str, key: str) -> tuple[int, int]:
    """How many entries of a list that can stop a run are not met, undecided ones among them, and how many there are.

    An expectation of another severity than critical lets the run go on.
    """
    entries = [entry for entry in run.json(stage, name) or [] if entry.get("severity", "critical") == "critical"]
    return sum(entry.get(key) is not True for entry in entries), len(entries)


ORDER = (
    "collect",
    "validate",
    "split",
    "leakage",
    "features",
    "train",
    "evaluate",
    "package",
    "deploy",
    "monitor",
    "maintain",
)


def criteria(run: RunFolder) -> list[dict[str, Any]]:
    """Each criterion: title, bound, value, state (pass, fail, undecided, waiting), and a bar where all fits 0 to 1."""
    gate = run.json("evaluate", "gate.json")
    asked = gate if gate is not None else run.problem.get("success") or []
    return [_criterion(run.task, entry, judged=gate is not None) for entry in asked]


def _criterion(task: str, entry: dict[str, Any], *, judged: bool) -> dict[str, Any]:
    metric, value, passed = str(entry.get("metric")), entry.get("value"), entry.get("passed")
    least, most = entry.get("at_least"), entry.get("at_most")
    low, high = (entry.get("interval") or (value, value)) if entry.get("lower_bound") else (value, value)
    state = {True: "pass", False: "fail", None: "undecided"}[passed] if judged else "waiting"
    # With several bounds the margin to the nearest one counts.
    margins = [low - least] if low is not None and least is not None else []
    margins += [most - high] if high is not None and most is not None else []
    margins += _margin_to_champion(entry)
    margin = min(margins, default=None)
    words = {"waiting": "not evaluated", "undecided": "undecided: nothing to measure it on"}.get(state, "")
    if state in ("pass", "fail"):
        words = "passed: there is no other champion"
    if margin is not None and state in ("pass", "fail"):
        words = f"{'passed' if state == 'pass' else 'missed'} by {number(abs(float(margin)))}"
    limits = [bound for bound in (least, most, value) if bound is not None]
    fits = len(limits) > 1 and all(0 <= bound <= 1 for bound in limits) and value is not None
    return {
        "metric": metric,
        "title": metric_title(metric) + _whose(entry),
        "meaning": metric_meaning(task, metric),
        "value": value,
        "bound": " and ".join(_bounds(entry)),
        "state": state,
        "words": words,
        "bar": {"value": value, "bounds": [b for b in (least, most) if b is not None]} if fits else None,
    }


def _whose(entry: dict[str, Any]) -> str:
    """Of which class and slice."""
    text = f" of {entry['of_class']}" if entry.get("of_class") else ""
    parts = (entry.get("slice") or {}).items()
    return text + "".join(f", {column} {value}" for column, value in parts)


def _bounds(entry: dict[str, Any]) -> list[str]:
    """What was asked, in words."""
    least, most, gain = entry.get("at_least"), entry.get("at_most"), entry.get("gain_over_champion")
    ends = ("lower end ", "upper end ") if entry.get("lower_bound") else ("", "")
    bounds = [f"{ends[0]}at least {number(float(least))}"] if least is not None else []
    bounds += [f"{ends[1]}at most {number(float(most))}"] if most is not None else []
    if gain is not None:
        asked = "no worse than" if not gain else f"{number(abs(float(gain)))} {'better' if gain > 0 else 'worse'} than"
        bounds.append(
            f"{'surely ' if entry.get('lower_bound') else ''}{'at most ' if gain < 0 else ''}{asked} the champion"
        )
    return bounds


def _margin_to_champion(entry: dict[str, Any]) -> list[float]:
    asked, gain = entry.get("gain_over_champion"), entry.get("gain") or {}
    found = gain.get("low" if entry.get("lower_bound") else "value")
    return [] if asked is None or found is None else [float(found) - float(asked)]


def phases(run: RunFolder) -> list[dict[str, Any]]:
    """The ten phases: title, state (done, failed, waiting), a line of detail and the seconds that they took."""
    refused = run.refusal[0] if run.refusal else ""
    unmet = _unmet(run, "validate", "expectations.json", "success")[0]
    missed = _unmet(run, "evaluate", "gate.json", "passed")[0]
    passes = run.verdicts
    out = [
        _phase("Need", "done" if run.problem.get("need") else "waiting", str(run.problem.get("owner") or "")),
        _phase("Framing", "done" if run.task else "waiting", run.task.replace("_", " ")),
        _stages(
            run,
            "Data",
            ("collect", "validate", "split", "leakage"),
            failed=_failed_data(refused, unmet),
        ),
        _stages(run, "Features", ("features",)),
        _stages(run, "Train", ("train",)),
        _stages(run, "Evaluate", ("evaluate",), failed="gate missed" if missed or refused == "evaluate" else ""),
        _stages(run, "Package", ("package",), failed="parity failed" if refused == "package" else ""),
        _stages(run, "Deploy", ("deploy",)),
    ]
    if passes:
        alerts = len(passes[-1][1].get("alerts") or ())
        detail = plural(alerts, "alert") if alerts else "undecided" if passes[-1][1].get("undecided") else "all well"
        out.append(_phase("Monitor", "failed" if alerts else "done", f"{plural(len(passes), 'pass')}, {detail}"))
    else:
        out.append(_phase("Monitor", "waiting", ""))
    out.append(_stages(run, "Maintain", ("maintain",)))
    return [{"place": i, **phase} for i, phase in enumerate(out, 1)]


def _failed_data(refused: str, unmet: int) -> str:
    if unmet or refused == "validate":
        return "expectations failed"
    return "leakage" if refused == "leakage" else ""


def _phase(title: str, state: str, detail: str) -> dict[str, Any]:
    return {"title": title, "state": state, "detail": detail}


def _stages(run: RunFolder, title: str, names: tuple[str, ...], *, failed: str = "") -> dict[str, Any]:
    results = [run.result(name) for name in names]
    seconds = [r["seconds"] for r in results if isinstance(r.get("seconds"), int | float)]
    if failed:
        return _phase(title, "failed", failed)
    if all(results):
        return _phase(title, "done", duration(sum(seconds)) if seconds else "")
    return _phase(title, "waiting", "incomplete" if any(results) or set(names) & set(run.stages) else "")
