"""The documents: of a bundle, and of an image. The same content gives the same bytes: there is no time in them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from pizzeria.errors import PluginError
from pizzeria.inference.bundle import Bundle
from pizzeria.sbom.model import Origin, described_model, makers
from pizzeria.sbom.packages import Package, component, own

Part = dict[str, Any]
"""A piece of a document, as CycloneDX has it."""
VERSION = "1.6"
_NAMESPACE = uuid.UUID("6f0a1a52-5b0e-5c0c-9d55-70697a7a6100")
"""Of the serial numbers, which follow from the content."""


def bundle_bill(bundle: Bundle, origin: Origin | None = None) -> str:
    """A bundle: its files, its model card, and what made it."""
    model = described_model(bundle, origin)
    tools = makers(bundle)
    refs = [one["bom-ref"] for one in model["components"]]
    return _document(model, [], tools, [{"ref": model["bom-ref"], "dependsOn": refs}])


def image_bill(name: str, model: Part, packages: Sequence[Package]) -> str:
    """An image: the bundle, Pizzeria and the packages of its lock. Those of the base image are the base's to list.

    Args:
        name: Of the deployment.
        model: The bundle as a component.
        packages: Of the lock, as the image's Python and platform have them.

    Example:
        >>> from pizzeria.sbom.model import plain_model
        >>> bill = json.loads(image_bill("rooms", plain_model("rooms", "ab"), [Package("numpy", "2.4.0", ("cd",))]))
        >>> [one["type"] for one in bill["components"]], bill["components"][2]["hashes"][0]["content"]
        (['machine-learning-model', 'library', 'library'], 'cd')
    """
    image = {"type": "container", "bom-ref": "image", "name": name, "version": model["version"]}
    libraries = [component(one) for one in (own(), *packages)]
    whole = [model, *libraries]
    depends = [{"ref": "image", "dependsOn": [one["bom-ref"] for one in whole]}]
    return _document(image, whole, [], depends)


def check_bill(text: str) -> None:
    """Hold a document to the schema of CycloneDX.

    Raises:
        PluginError: the library that knows the schema is not installed, or the document does not keep it.
    """
    try:
        from cyclonedx.exception import MissingOptionalDependencyException
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        raise PluginError("cyclonedx-python-lib is not installed", hint="pip install 'pizzeria[sbom]'") from None
    try:
        fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    except MissingOptionalDependencyException:
        raise PluginError("what checks schemas is not installed", hint="pip install 'pizzeria[sbom]'") from None
    if fault is not None:
        raise PluginError(f"the document does not keep CycloneDX {VERSION}: {str(fault)[:300]}")


def _document(subject: Part, components: Sequence[Part], tools: Sequence[Part], depends: Sequence[Part]) -> str:
    metadata: Part = {"component": subject}
    if tools:
        metadata["tools"] = {"components": tools}
    bill: Part = {
        "bomFormat": "CycloneDX",
        "specVersion": VERSION,
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": depends,
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(bill, sort_keys=True))
    return json.dumps({**bill, "serialNumber": f"urn:uuid:{serial}"}, indent=1) + "\n"
