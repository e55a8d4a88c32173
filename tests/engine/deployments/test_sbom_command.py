"""`pizzeria sbom`: of a bundle, of what a target ships, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from pizzeria.cli import main

from .conftest import Stall


def sbom(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sbom", *arguments])


def test_of_a_bundle(stall: Stall) -> None:
    done = sbom("prices-a")
    assert done.exit_code == 0, done.output
    bill = json.loads(done.stdout)
    model = bill["metadata"]["component"]
    assert model["hashes"][0]["content"] == stall.sha256["a"]
    card = model["modelCard"]
    assert card["considerations"] == {"users": ["tests"], "useCases": ["Test."]}
    assert card["modelParameters"]["modelArchitecture"] == "tabular_network"
    assert {"type": "r2", "value": "0.9"} in card["quantitativeAnalysis"]["performanceMetrics"]
    assert sbom("prices-a", "--out", "there.json").stdout.strip() == "there.json"
    assert Path("there.json").read_text() == done.stdout


def test_of_what_a_target_ships(stall: Stall) -> None:
    refused = sbom("prices-a", "--image")
    assert refused.exit_code == 6
    assert "the target stalls ships no packages" in refused.stderr
    path = stall.runs["a"].folder / "spec.yaml"
    plain = yaml.safe_load(path.read_text())
    plain["deployment"] = {"use": "container"}
    plain["serving"]["log"] = {"use": "postgresql", "dsn_from": "DSN"}
    path.write_text(yaml.safe_dump(plain))
    done = sbom("prices-a", "--image", "--platform", "linux/arm64")
    assert done.exit_code == 0, done.output
    bill = json.loads(done.stdout)
    names = {one["name"] for one in bill["components"]}
    assert {"bentoml", "onnxruntime", "pizzeria", "prices", "psycopg"} <= names
    assert "torch" not in names
    assert all("licenses" in one for one in bill["components"] if one["name"] in ("bentoml", "numpy", "psycopg"))


def test_options_of_an_image_alone(stall: Stall) -> None:
    assert sbom("prices-a", "--python", "3.12").exit_code == 2
