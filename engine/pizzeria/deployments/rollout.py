"""A new bundle takes over in steps, and goes back by itself when it does worse than it may."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

from pizzeria import atomic
from pizzeria.contracts import DeploymentStatus, Observation, Progress, Release
from pizzeria.errors import RolloutError
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.deployment import Rollout

SLACK_MS = 50.0
"""A new model may always be so much slower than the old one: three times one millisecond is noise."""

_ROUNDS = 10
_LEAST_ROUND_S = 1.0

Note = Callable[[Mapping[str, Any]], object]


def can_roll_out(target: Any) -> bool:
    """Whether a target has the functions of `pizzeria.contracts.Canary`."""
    return all(hasattr(target, name) for name in ("stage", "shift", "observe", "settle"))


def roll_out(
    target: Any, release: Release, options: Any, rollout: Rollout, note: Note, progress: Progress
) -> DeploymentStatus:
    """Let a bundle take over from the one that is live.

    Args:
        note: Writes one entry of the ledger, with the evidence; the last before all traffic moves has the phase
            `settling`, from which on an interrupted roll-out goes forward and not back.

    Raises:
        RolloutError: it does worse than `rollout` allows, or nothing was observed. The caller ends the canary.
        DeploymentError: it does not come up.
    """
    sample = open_bundle(release.bundle).sample_request()
    name, state = release.name, release.state
    target.stage(release, options, progress)
    note({"phase": "staged"})
    for percent in rollout.steps:
        target.shift(name, options, state, percent)
        progress.say(f"{name}: {percent}% of the traffic goes to {release.sha256[:12]} for {rollout.step_s:g} s")
        staged, present, verdict, why = _watch(target, release, options, rollout, sample)
        evidence = {"staged": asdict(staged), "present": asdict(present)}
        note(atomic.finite({"phase": "step", "percent": percent, "verdict": verdict, "why": why} | evidence))
        if verdict != "passed":
            raise RolloutError(
                f"{release.sha256[:12]} is sent back at {percent}% of the traffic: {why}",
                hint=f"`pizzeria history {name}` has the figures of each step",
            )
        progress.say(f"{name}: {percent}%: {why}")
    note({"phase": "settling"})
    status: DeploymentStatus = target.settle(name, options, state, True, progress)
    return status


def judge(
    staged: Observation, present: Observation, rollout: Rollout, sha256: str
) -> tuple[Literal["passed", "failed", "undecided"], str]:
    """Whether the staged bundle may have more traffic, and why; undecided counts as not passed.

    Example:
        >>> old, new = Observation("a", 100, 0, 20.0), Observation("b", 40, 1, 25.0)
        >>> judge(new, old, Rollout(), "b")
        ('failed', '1 of 40 answers failed, 2.5%, and 1% may')
        >>> judge(Observation("b", 40, 0, 25.0), old, Rollout(), "b")
        ('passed', '0 of 40 answers failed, 95% took at most 25 ms')
    """
    fault = _fault(staged, rollout, sha256)
    if fault is not None:
        return "failed", fault
    if staged.requests == 0:
        return "undecided", "nothing was observed"
    limit_ms = rollout.max_p95_ms
    if limit_ms is None:
        limit_ms = max(3 * present.p95_ms, present.p95_ms + SLACK_MS)
    if math.isnan(staged.p95_ms) or math.isnan(limit_ms):
        which = "it" if math.isnan(staged.p95_ms) else "the present one"
        return "undecided", f"no latency was observed of {which}"
    if staged.p95_ms > limit_ms:
        took = f"95% of its answers took {staged.p95_ms:.4g} ms or less, and {limit_ms:.4g} ms is the limit"
        if rollout.max_p95_ms is None:
            took += f" (the present one: {present.p95_ms:.4g} ms)"
        return "failed", took
    share = f"{staged.errors} of {staged.requests} answers failed"
    return "passed", f"{share}, 95% took at most {staged.p95_ms:.4g} ms"


def _fault(staged: Observation, rollout: Rollout, sha256: str) -> str | None:
    """What calls for going back at once, however little was observed."""
    if staged.sha256 != sha256:
        answers = f"it answers with {staged.sha256[:12]}" if staged.sha256 else "it does not say which model it is"
        return f"{answers}, and {sha256[:12]} was staged"
    if staged.requests and staged.errors / staged.requests > rollout.max_error_rate:
        share, may = 100 * staged.errors / staged.requests, 100 * rollout.max_error_rate
        return f"{staged.errors} of {staged.requests} answers failed, {share:.3g}%, and {may:.3g}% may"
    return None


def _watch(
    target: Any, release: Release, options: Any, rollout: Rollout, sample: tuple[str, bytes]
) -> tuple[Observation, Observation, Literal["passed", "failed", "undecided"], str]:
    """One step: a few requests now and then, which only a plain fault ends early, and all of them at its end."""
    until = time.monotonic() + rollout.step_s
    every_s = max(rollout.step_s / _ROUNDS, _LEAST_ROUND_S)
    few = max(1, rollout.probes // _ROUNDS)
    while until - time.monotonic() > every_s:
        time.sleep(every_s)
        staged, present = target.observe(release.name, options, release.state, sample, few)
        fault = _fault(staged, rollout, release.sha256)
        if fault is not None:
            return staged, present, "failed", fault
    time.sleep(max(0.0, until - time.monotonic()))
    staged, present = target.observe(release.name, options, release.state, sample, rollout.probes)
    return staged, present, *judge(staged, present, rollout, release.sha256)
