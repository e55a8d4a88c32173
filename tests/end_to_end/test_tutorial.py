"""docs/tutorial.md, block by block, as a newcomer types it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import open_kitchen

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"^```(bash|python|yaml)\n(.*?)^```", PAGE, re.M | re.S)
FIRST = "pizzeria monitor photos"


@pytest.mark.timeout(1800)  # half an hour of a newcomer's, on a machine that is busy with other tests
def test_the_tutorial_from_its_first_block_to_its_last(tmp_path: Path) -> None:
    place = open_kitchen(tmp_path)
    said: list[tuple[str, int, str]] = []
    try:
        for kind, block in BLOCKS:
            if kind == "yaml":
                with open(tmp_path / "conf" / "experiment" / "photos.yaml", "a") as stream:
                    stream.write(block)
            elif kind == "python":
                done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, env=os.environ, check=False)
                assert done.returncode == 0, block
            else:
                for line in block.splitlines():
                    words = shlex.split(line.replace("127.0.0.1:3000", f"127.0.0.1:{place.port}"))
                    ran = place.run(*words[1:])
                    assert ran.returncode in ((0, 10, 11) if words[1] == "monitor" else (0,)), (
                        line + ran.stdout + ran.stderr
                    )
                    said.append((line, ran.returncode, ran.stdout))
    finally:
        place.run("stop", "photos")

    healthy, dark, labelled = [(code, text) for line, code, text in said if line == FIRST]
    assert healthy[0] == 0, healthy[1]
    assert "estimated" in healthy[1], healthy[1]
    assert "realised" not in healthy[1], healthy[1]
    assert dark[0] == 10, dark[1]
    assert "brightness" in dark[1]
    assert "realised" in labelled[1], labelled[1]
    outcome = {line.split()[1]: text for line, _, text in said}
    assert "awaiting approval" in outcome["maintain"], outcome["maintain"]
    assert "promoted" in outcome["approve"], outcome["approve"]
