"""A bundle as a component of CycloneDX: its files, and a model card of what it does, how well, and from which data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pizzeria.inference.bundle import MANIFEST, Bundle
from pizzeria.sbom.packages import Package, component
from pizzeria.spec.spec import Spec

_PHOTO, _ROWS = "image/jpeg, image/png, image/webp", "application/json"


@dataclass(frozen=True)
class Origin:
    """What is known of a bundle's run.

    Attributes:
        facts: By stage, the figures that it left.
    """

    spec: Spec
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def reference(sha256: str) -> str:
    """How other components refer to a bundle."""
    return f"bundle:{sha256}"


def plain_model(name: str, sha256: str) -> dict[str, Any]:
    """A bundle of which nothing but its identity is told."""
    return {
        "type": "machine-learning-model",
        "bom-ref": reference(sha256),
        "name": name,
        "version": sha256[:12],
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }


def described_model(bundle: Bundle, origin: Origin | None) -> dict[str, Any]:
    """A bundle with its files and its model card.

    Args:
        bundle: As opened.
        origin: Its run; None where only the bundle is at hand.
    """
    files = [
        {
            "type": "file",
            "bom-ref": f"{reference(bundle.sha256)}/{name}",
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": sha}],
        }
        for name, sha in sorted(bundle.hashes.items())
    ]
    said = {"pizzeria:sha256-of": f"{MANIFEST} as canonical JSON", "pizzeria:format": bundle.description["format"]}
    return {
        **plain_model(bundle.name, bundle.sha256),
        "description": f"{bundle.task} of {', '.join(bundle.classes) or 'a value'}",
        "components": files,
        "modelCard": _card(bundle, origin),
        "properties": list(_properties(said)),
    }


def makers(bundle: Bundle) -> list[dict[str, Any]]:
    """Pizzeria, and the libraries that the bundle was proven with, as the bundle itself names them."""
    return [component(Package(name, str(version))) for name, version in sorted(_versions(bundle).items())]


def _versions(bundle: Bundle) -> dict[str, str]:
    return {name: version for name, version in bundle.description["versions"].items() if name != "python"}


def _card(bundle: Bundle, origin: Origin | None) -> dict[str, Any]:
    takes = _PHOTO if bundle.takes_photos else _ROWS
    parameters: dict[str, Any] = {
        "approach": {"type": "supervised"},
        "task": bundle.task,
        "datasets": [_data(bundle, origin)],
        "inputs": [{"format": takes}],
        "outputs": [{"format": _ROWS}],
    }
    card: dict[str, Any] = {"modelParameters": parameters}
    metrics = [
        {"type": name, "value": f"{value:.6g}"}
        for name, value in sorted(bundle.description["metrics"].items())
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    if origin is not None:
        parameters["modelArchitecture"] = origin.spec.model.use
        card["considerations"] = {"users": [origin.spec.problem.owner], "useCases": [origin.spec.problem.need]}
    method = bundle.calibration.get("method", "none")
    card["properties"] = list(
        _properties({"pizzeria:gate": bundle.description["gate"], "pizzeria:calibration": method})
    )
    return card


def _data(bundle: Bundle, origin: Origin | None) -> dict[str, Any]:
    """Where the data came from, and the fingerprint of each stage on their way to the model."""
    said: dict[str, Any] = {f"pizzeria:lineage:{name}": sha for name, sha in bundle.description["lineage"].items()}
    found: dict[str, Any] = {"type": "dataset", "bom-ref": f"{reference(bundle.sha256)}/data"}
    if origin is not None:
        found["name"] = origin.spec.data.use
        for stage in ("collect", "split"):
            said |= {f"pizzeria:{stage}:{name}": value for name, value in origin.facts.get(stage, {}).items()}
    return found | {"contents": {"properties": list(_properties(said))}}


def _properties(values: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for name, value in values.items():
        yield {"name": name, "value": value if isinstance(value, str) else json.dumps(value, sort_keys=True)}
