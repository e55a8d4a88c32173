"""The command's first impression: quick, and light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "pandas",
    "great_expectations",
    "nannyml",
    "bentoml",
    "plotly",
    "matplotlib",
    "sklearn",
    "onnxruntime",
    "duckdb",
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["validate", "experiment=amenities"], ["plugins", "list"], ["schema"]], ids=" ".join
)
def test_no_heavy_library_is_loaded(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom pizzeria.cli import main\n"
        "try:\n    main()\nfinally:\n"
        f"    print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert "HEAVY []" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_schema_and_reference_are_up_to_date() -> None:
    import json

    from pizzeria.schema import json_schema
    from pizzeria.spec_reference import markdown

    root = Path(__file__).parents[2]
    assert json.loads((root / "conf" / "spec.schema.json").read_text()) == json.loads(json.dumps(json_schema()))
    assert (root / "docs" / "spec.md").read_text() == markdown()


def test_shipped_experiments_fit_the_schema() -> None:
    import yaml
    from jsonschema import Draft202012Validator

    from pizzeria.schema import json_schema

    root = Path(__file__).parents[2]
    Draft202012Validator.check_schema(json_schema())
    validator = Draft202012Validator(json_schema())
    for path in (root / "conf" / "experiment").glob("*.yaml"):
        text = path.read_text()
        assert text.startswith("# yaml-language-server: $schema=../spec.schema.json")
        assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []
        wrong = yaml.safe_load(text) | {"trainnig": {}}
        assert list(validator.iter_errors(wrong))


def test_public_names_are_pinned() -> None:
    import pizzeria

    assert sorted(pizzeria.__all__) == ["PizzeriaError", "Spec", "execute", "load_spec"]


def test_status_tells_why_a_service_does_not_answer(working_folder: Path) -> None:
    import json

    import yaml
    from click.testing import CliRunner

    from pizzeria.cli import main
    from pizzeria.loading import load_spec
    from pizzeria.runs.ledger import Ledger
    from pizzeria.runs.store import Store

    store = Store()
    run = store.open_run("amenities-0123456789ab", yaml.safe_dump(load_spec(["experiment=amenities"]).resolved()))
    Ledger(store.root).add("promoted", "amenities", run=run.id, sha256="a" * 64, detail={"address": "http://x"})
    state = store.root / ".deployments" / "amenities"
    state.mkdir(parents=True)
    gone = {"name": "amenities", "host": "127.0.0.1", "port": 9, "sha256": "a" * 64, "argv": ["true"]}
    gone |= {"environment": {}, "folder": str(working_folder), "pid": 1, "token": "no process has this"}
    (state / "deployment.json").write_text(json.dumps(gone))
    done = CliRunner().invoke(main, ["status"])
    assert done.exit_code == 1, done.output
    assert "amenities  dead  http://127.0.0.1:9" in done.output
    assert f"    its processes are gone; {state / 'service.log'} may say why" in done.output
