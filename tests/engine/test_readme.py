"""Every YAML block of the README is a spec, or part of one that validates."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from pizzeria.loading import load_spec

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_yaml_of_the_readme_validates(tmp_path: Path) -> None:
    whole, *parts = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", README, re.M | re.S)]
    assert parts
    path = tmp_path / "mine.yaml"
    for part in ({}, *parts):
        path.write_text(yaml.safe_dump(whole | part))
        spec = load_spec([str(path)]).resolved()
        assert all(name in spec for name in part)
