"""Bills of materials keep CycloneDX's own schema, name every package with its hashes, and are the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distribution
from itertools import takewhile
from typing import Any

import pytest

from pizzeria.conformance.tiny_bundles import NEWER, OLDER
from pizzeria.errors import PluginError
from pizzeria.inference.bundle import open_bundle
from pizzeria.sbom import licences
from pizzeria.sbom.bills import bundle_bill, check_bill, image_bill
from pizzeria.sbom.model import plain_model
from pizzeria.sbom.packages import Python, locked, plain
from pizzeria.shipment import LOCKS, read_lock
from pizzeria.shipment.locks import LICENCES


def valid(text: str) -> dict[str, Any]:
    check_bill(text)  # by the library's own schema, strictly
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_bill_of_a_bundle_names_its_files() -> None:
    bundle = open_bundle(NEWER)
    model = valid(bundle_bill(bundle))["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["hashes"] == [{"alg": "SHA-256", "content": bundle.sha256}]
    assert {one["name"]: one["hashes"][0]["content"] for one in model["components"]} == dict(bundle.hashes)
    assert model["modelCard"]["modelParameters"]["task"] == "object_detection"


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_the_bill_of_an_image_names_every_package_with_all_its_hashes(python: Python) -> None:
    for lock in LOCKS if python == "3.11" else ("serve",):
        packages = locked(lock, python)
        bill = valid(image_bill("rooms", plain_model("rooms", "ab" * 32), packages))
        libraries = [one for one in bill["components"] if one["type"] == "library"]
        assert [one["name"] for one in libraries] == ["pizzeria", *(one.name for one in packages)]
        assert {one["bom-ref"] for one in bill["components"]} == set(bill["dependencies"][0]["dependsOn"])
        lines = read_lock(lock).splitlines()
        for one in libraries[1:]:
            assert one["purl"] == f"pkg:pypi/{plain(one['name'])}@{one['version']}"
            at = next(i for i, line in enumerate(lines) if line.startswith(f"{one['name']}=={one['version']} "))
            below = takewhile(lambda line: line.startswith("    --hash="), lines[at + 1 :])
            assert [sha["content"] for sha in one["hashes"]] == [line.split(":")[1].split()[0] for line in below]


def test_the_same_bundle_gives_the_same_bytes_in_any_process_and_another_gives_others() -> None:
    program = (
        "from pizzeria.conformance.tiny_bundles import NEWER\nfrom pizzeria.inference.bundle import open_bundle\n"
        "from pizzeria.sbom.bills import bundle_bill\nprint(bundle_bill(open_bundle(NEWER)), end='')"
    )
    here = bundle_bill(open_bundle(NEWER))
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert here == there
    other = json.loads(bundle_bill(open_bundle(OLDER)))
    assert other["serialNumber"] != json.loads(here)["serialNumber"]
    assert "timestamp" not in json.dumps(other)


def test_a_document_that_is_none_is_refused() -> None:
    with pytest.raises(PluginError, match=r"does not keep CycloneDX 1\.6"):
        check_bill('{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": "one"}')


def test_the_table_of_licences_is_as_the_installed_packages_say() -> None:
    kept = json.loads(LICENCES.read_text())
    now = licences.table()
    assert {name: kept.get(name) for name in now} == now, "python -m pizzeria.sbom.licences"
    names = {f"{plain(one.name)}=={one.version}" for lock in LOCKS for one in locked(lock)}
    assert names <= kept.keys(), "each package says its licence"
    assert licences.licences_of(distribution("click")) == [{"expression": "BSD-3-Clause"}]
