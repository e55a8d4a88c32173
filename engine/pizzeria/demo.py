"""`pizzeria demo`: the whole cycle on generated listings, as a client and an operator would see it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pizzeria import registry
from pizzeria.contracts import Progress
from pizzeria.deployments import log_folder
from pizzeria.execution import execute
from pizzeria.loading import load_spec
from pizzeria.monitoring.passes import Pass, monitor
from pizzeria.printing import print_pass, print_verdicts
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec

if TYPE_CHECKING:
    import httpx

    from pizzeria.tables import Tables

TRAFFIC_SEED = 1_000_003
"""Traffic comes from other listings than those that the model has seen."""

CHUNKS = 2
"""Chunks of traffic in each monitoring pass."""


def demonstrate(
    overrides: Sequence[str], store: Store, progress: Progress, render: Callable[[Run], object]
) -> tuple[Pass, Pass]:
    """Run `amenities` to a live service, verify a listing, and monitor healthy and shifted traffic.

    Returns:
        The pass over healthy traffic, and the one over shifted traffic.

    Raises:
        PizzeriaError: the run was refused, or the service does not answer.
    """
    import httpx

    console = Console(highlight=False)
    started = time.perf_counter()
    spec = load_spec(["experiment=amenities", *overrides])
    done = execute(spec, store, progress)
    address = str(done.results["deploy"].facts["address"])
    passes = []
    scratch = tempfile.TemporaryDirectory(prefix="pizzeria-")
    with scratch as folder, httpx.Client(base_url=address, timeout=60) as client:
        for shift in ("none", "all"):
            tables, photos = _traffic(spec, Path(folder) / shift, shift, progress)
            if shift == "none":
                console.print("\n[bold]One listing, what it declares and what its photos show[/bold]")
                _verify_first(client, tables, photos)
            kind = "healthy" if shift == "none" else "shifted"
            since = datetime.now(UTC)
            _send(client, photos, progress)
            _wait_for_log(spec, store, since, len(photos))
            console.print(f"\n[bold]Monitoring {len(photos)} photos of {kind} traffic[/bold]")
            passes.append(monitor(spec, done.run, store, progress))
            print_pass(passes[-1])
    render(done.run)
    seconds = time.perf_counter() - started
    console.print(f"\nThe whole took {seconds:.0f} s; to stop the service: pizzeria stop {spec.name}")
    console.print(f"report   {done.run.folder / 'report.html'}\nservice  {address}", soft_wrap=True)
    return passes[0], passes[1]


def _traffic(spec: Spec, folder: Path, shift: str, progress: Progress) -> tuple[Tables, dict[str, Path]]:
    """Listings that the model has not seen, and their photos by name."""
    source = registry.load("sources", "rooms")
    folder.mkdir()
    wanted = CHUNKS * (spec.monitoring.chunk.size or 90)
    listings = -(-wanted // 3)
    options = source.Options(listings=listings, photos_per_listing=3, seed=TRAFFIC_SEED, shift=shift)
    tables: Tables = source.collect(options, spec.problem, folder, progress)
    assert tables.images is not None
    photos = {f"{shift}_{Path(path).name}": folder / path for path in tables.images["path"]}
    return tables, dict(list(photos.items())[:wanted])


def _verify_first(client: httpx.Client, tables: Tables, photos: dict[str, Path]) -> None:
    assert tables.listings is not None
    assert tables.images is not None
    listing = tables.listings.iloc[0]
    own = tables.images[tables.images["listing_id"] == listing["listing_id"]]
    names = [name for name, path in photos.items() if path.name in {Path(path).name for path in own["path"]}]
    files = [("photos", (name, photos[name].read_bytes(), "image/jpeg")) for name in names]
    response = client.post("/verify", data={"declared": json.dumps(list(listing["declared"]))}, files=files)
    response.raise_for_status()
    print_verdicts([{"listing_id": listing["listing_id"], **response.json()}])


def _send(client: httpx.Client, photos: dict[str, Path], progress: Progress) -> None:
    for name in progress.track(list(photos), "sending photos"):
        parts = {"photo": (name, photos[name].read_bytes(), "image/jpeg")}
        client.post("/predict", files=parts).raise_for_status()


def _wait_for_log(spec: Spec, store: Store, since: datetime, count: int, patience_s: float = 60) -> None:
    """The service writes its log behind its answers; wait until all are there."""
    if spec.serving.log is None:
        return
    log: Any = registry.load("prediction_logs", spec.serving.log.use)
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        records = log.read(spec.serving.log.options, log_folder(store, spec.name))
        if len(records) and int((records["timestamp"] >= since).sum()) >= count:
            return
        time.sleep(0.2)
