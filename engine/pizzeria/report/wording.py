"""Numbers, times and names as the report writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pizzeria.tasks import NAMES, task

DASH = "\N{EN DASH}"

TASKS = {
    "object_detection": "Object detection: boxes of known classes in photos",
    "image_classification": "Image classification: one class for each photo",
    "multilabel_classification": "Multi-label classification: any number of classes for each photo",
    "tabular_classification": "Tabular classification: one class for each row",
    "tabular_regression": "Tabular regression: a number for each row",
}

METRICS = {
    "map": "mAP", "map_50": "AP50", "map_75": "AP75", "map_small": "AP small",
    "map_medium": "AP medium", "map_large": "AP large", "mar_1": "AR, 1 box", "mar_10": "AR, 10 boxes",
    "mar_100": "Average recall", "mar_small": "AR small", "mar_medium": "AR medium", "mar_large": "AR large",
    "box_precision": "Box precision", "box_recall": "Box recall", "box_f1": "Box F1",
    "presence_f1": "Presence F1", "presence_precision": "Presence precision", "presence_recall": "Presence recall",
    "presence_auroc": "Presence AUROC", "calibration_error": "Calibration error", "auroc": "AUROC", "f1": "F1",
    "f1_micro": "F1 (micro)", "log_loss": "Log loss", "mae": "MAE", "rmse": "RMSE", "r2": "R\N{SUPERSCRIPT TWO}",
    "average_precision": "Average precision",
}  # fmt: skip


def metric_title(name: str) -> str:
    """`map_50` as AP50; a name that is not known as it is, in words."""
    return METRICS.get(name, name.replace("_", " ").capitalize())


def metric_meaning(task_name: str, name: str) -> str:
    """The task's own line about a metric; empty when it has none."""
    known = task(task_name).METRICS.get(name) if task_name in NAMES else None
    return "" if known is None else known.meaning


def higher_is_better(task_name: str, name: str) -> bool:
    """False too for a metric that the task does not know."""
    known = task(task_name).METRICS.get(name) if task_name in NAMES else None
    return known is not None and known.better == "higher"


def number(value: Any, digits: int = 3) -> str:
    """A number for a person; a dash for None.

    Example:
        >>> number(0.61234), number(1284), number(12345.678), number(0.00002)
        ('0.612', '1,284', '12,346', '2.0e-05')
    """
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if value != value or value in (float("inf"), float("-inf")):
        return DASH
    if value and abs(value) < 10**-digits:
        return f"{value:.1e}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.{digits}f}"


def fact(value: Any) -> str:
    """A fact of any kind: numbers as short as they go.

    Example:
        >>> fact(7.4), fact(0.00000123), fact(1834211), fact(True), fact("cpu")
        ('7.4', '1.23e-06', '1,834,211', 'yes', 'cpu')
    """
    return f"{value:.5g}" if isinstance(value, float) and abs(value) < 1e5 else number(value)


def duration(seconds: Any) -> str:
    """Seconds, for a person.

    Example:
        >>> duration(0.042), duration(7.31), duration(125), duration(7300)
        ('42 ms', '7.3 s', '2 min 5 s', '2 h 1 min')
    """
    if not isinstance(seconds, int | float):
        return DASH
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def money(price: Any, currency: str) -> str:
    """A price, with digits enough to tell it from nothing; a dash for None.

    Example:
        >>> money(1234.5, "USD"), money(0.0012, "EUR"), money(0.0, "USD"), money(12.345, "USD")
        ('1,234 USD', '0.0012 EUR', '0 USD', '12.35 USD')
    """
    if not isinstance(price, int | float):
        return DASH
    if price >= 1000:
        return f"{price:,.0f} {currency}"
    return f"{price:.2f} {currency}" if price >= 1 else f"{price:.2g} {currency}"


def moment(value: Any) -> str:
    """A time stamp (ISO 8601, or seconds since 1970) as `2026-11-23 19:01 UTC`; other text as it is.

    Example:
        >>> moment("2026-11-23T19:01:54.5+00:00"), moment("run-7")
        ('2026-11-23 19:01 UTC', 'run-7')
    """
    if value is None:
        return DASH
    try:
        if isinstance(value, int | float):
            when = datetime.fromtimestamp(value, UTC)
        else:
            when = datetime.fromisoformat(str(value))
    except (ValueError, OSError, OverflowError):
        return str(value)
    when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return f"{when:%Y-%m-%d %H:%M} UTC"


def plural(count: int, noun: str) -> str:
    """`1 box`, `3 boxes`.

    Example:
        >>> plural(1, "photo"), plural(1284, "box"), plural(2, "class"), plural(0, "mistake")
        ('1 photo', '1,284 boxes', '2 classes', '0 mistakes')
    """
    ending = "" if count == 1 else "es" if noun.endswith(("x", "s")) else "s"
    return f"{count:,} {noun}{ending}"


def rows_of(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested facts as flat (name, value) rows; lists of plain values on one line.

    Example:
        >>> rows_of({"device": "cpu", "box": {"iou": 0.99}, "sizes": [256, 256]})
        [('device', 'cpu'), ('box iou', 0.99), ('sizes', '256, 256')]
    """
    out: list[tuple[str, Any]] = []
    for key, value in facts.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            out += rows_of(value, f"{name} ")
        elif isinstance(value, list | tuple):
            text = ", ".join(str(item) for item in value[:12])
            out.append((name, text + (" ..." if len(value) > 12 else "")))
        elif value != "":
            out.append((name, value))
    return out
