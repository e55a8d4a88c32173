"""What hours and requests cost at the prices of a spec. Where a price is missing there is no money, but hours still.

The formulas, with t the seconds of one answer as packaging measured it on the machine that trained:

    training   CPU cores x hours x cpu_core_hour, or GPUs x hours x gpu_hour
    machine    N t / 3600 / utilisation x machine_hour             one answer after the other
    function   N (t x memory in GB x gb_second + a request's price)     a request is charged for its time and memory
    batch      N t / 3600 x cores x cpu_core_hour                  on the cores that t was measured with
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Charge:
    """Hours, and what they cost.

    Attributes:
        hours: Of what `unit` names, such as CPU-core hours; None where nothing is known.
        price: In the spec's currency; None where the spec has no price.
    """

    unit: str
    hours: float | None
    price: float | None


def training_charge(cost: Mapping[str, Any], facts: Mapping[str, Any]) -> Charge | None:
    """What a training cost.

    Args:
        cost: Section `cost` of a resolved spec.
        facts: What the trainer said: `seconds`, and the `cores` and `gpus` of all its processes together.

    Example:
        >>> training_charge({"gpu_hour": 2.5}, {"seconds": 7200, "gpus": 2, "cores": 16})
        Charge(unit='GPU hours', hours=4.0, price=10.0)
        >>> training_charge({}, {"seconds": 1800, "cores": 2, "gpus": 0})
        Charge(unit='CPU-core hours', hours=1.0, price=None)
    """
    seconds = facts.get("seconds")
    if not isinstance(seconds, int | float):
        return None
    gpus = facts.get("gpus") or 0
    number, unit, key = (
        (gpus, "GPU hours", "gpu_hour") if gpus else (facts.get("cores"), "CPU-core hours", "cpu_core_hour")
    )
    if not isinstance(number, int | float):
        return Charge("hours", seconds / 3600, None)
    hours = seconds / 3600 * number
    return Charge(unit, hours, _times(hours, cost.get(key)))


def serving_charge(price: Mapping[str, Any] | None, milliseconds: float, count: int) -> Charge:
    """What so many answers cost on one target.

    Args:
        price: Of the target, from `cost.targets`; None where the spec has none.
        milliseconds: Of one answer.

    Example:
        >>> serving_charge({"machine_hour": 0.36, "utilisation": 0.5}, 36.0, 1000).hours
        0.02
        >>> lambda_price = {"gb_second": 0.00002, "memory_mb": 1024, "million_requests": 0.2}
        >>> round(serving_charge(lambda_price, 50.0, 1000).price, 6)
        0.0012
    """
    seconds = count * milliseconds / 1000
    if price is None:
        return Charge("machine hours", seconds / 3600, None)
    if price.get("gb_second") is not None:
        gigabytes = price["memory_mb"] / 1024
        money = seconds * gigabytes * price["gb_second"] + count / 1e6 * (price.get("million_requests") or 0)
        return Charge("GB hours", seconds * gigabytes / 3600, money)
    hours = seconds / 3600 / (price.get("utilisation") or 1.0)
    money = hours * price["machine_hour"] + count / 1e6 * (price.get("million_requests") or 0)
    return Charge("machine hours", hours, money)


def batch_charge(cost: Mapping[str, Any], milliseconds: float, cores: float | None, count: int) -> Charge:
    """What so many answers cost in bulk, on the machine that measured them."""
    hours = count * milliseconds / 3_600_000
    if cores is None:
        return Charge("hours", hours, None)
    return Charge("CPU-core hours", hours * cores, _times(hours * cores, cost.get("cpu_core_hour")))


def _times(hours: float, price: Any) -> float | None:
    return hours * price if isinstance(price, int | float) else None
