"""Target `replay`: puts bundles on a shelf, and runs no service: what `pizzeria simulate` deploys to.

What is on the shelf answers nobody by itself; the simulation opens it where a service would. A bundle that would not
come up as a service does not get onto the shelf either: its model is loaded and must repeat the golden answer. In
`<state>/<name>`, `shelf.json` says what lies there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.contracts import DeploymentStatus, Progress, Release, Rendered
from pizzeria.errors import BundleError, DeploymentError
from pizzeria.shipment import check_bundle
from pizzeria.spec.section import Options as PluginOptions

_SHELF = "shelf.json"


class Options(PluginOptions):
    """Options of the `replay` target: there are none."""


def render(release: Release, options: Options) -> Rendered:
    """The one file, as it will lie in the state folder."""
    return Rendered(files={_SHELF: json.dumps(_shelf(release), indent=1) + "\n"})


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Put the bundle on the shelf, in place of the one that lies there.

    Raises:
        BundleError: the bundle is damaged, or is another one; nothing has changed.
        DeploymentError: it does not repeat its golden answer; nothing has changed.
    """
    check_bundle(release)
    _try_out(release)
    folder = release.state / release.name
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_json(folder / _SHELF, _shelf(release))
    return status(release.name, options, release.state)


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """`live` with what lies on the shelf; `dead` where its bundle is gone."""
    try:
        found: dict[str, Any] = json.loads((state / name / _SHELF).read_text())
    except FileNotFoundError:
        return DeploymentStatus("absent")
    address, bundle = f"replay:{name}", Path(found["bundle"])
    if not bundle.exists():
        return DeploymentStatus("dead", address, detail=f"{bundle} is gone")
    return DeploymentStatus("live", address, found["sha256"], "on the shelf; no process runs")


def remove(name: str, options: Options, state: Path) -> None:
    """Clear the shelf."""
    shutil.rmtree(state / name, ignore_errors=True)


def _shelf(release: Release) -> dict[str, str]:
    return {"name": release.name, "sha256": release.sha256, "bundle": str(release.bundle)}


def _try_out(release: Release) -> None:
    from pizzeria.inference.bundle import open_bundle
    from pizzeria.inference.predictor import Predictor
    from pizzeria.inference.sample import check_sample

    try:
        check_sample(Predictor(open_bundle(release.bundle), threads=1))
    except BundleError as error:
        raise DeploymentError(f"{release.name} cannot serve this bundle: {error.message}", hint=error.hint) from error
