"""The wheel holds all that the command needs: config groups, templates, pages."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_the_wheel_works_outside_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = tmp_path.glob("pizzeria-*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    names = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    assert "pizzeria/conf/experiment/amenities.yaml" in names
    assert "pizzeria/report/templates/page.html.j2" in names
    assert "pizzeria_plugins/validators/gx_names.json" in names
    assert "pizzeria_plugins/servers/site/app.js" in names
    assert "pizzeria/plugin_templates/target.py.txt" in names
    assert "pizzeria/conformance/bundles/older/model.onnx" in names
    assert "pizzeria/shipment/locks/serve.txt" in names
    code = "import pizzeria, sys; print(pizzeria.__file__); from pizzeria.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "validate", "experiment=amenities"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    where, verdict = ran.stdout.splitlines()
    assert where.startswith(str(site))
    assert "the spec is right" in verdict
