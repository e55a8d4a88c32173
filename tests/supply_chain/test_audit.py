"""Whatever a check lets pass says why at its line, and what `make audit` runs can fail."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
_EXCEPTION = re.compile(r"#\s*(noqa: S\d|nosec|nosemgrep)")
_WHY = re.compile(r"(\s-+ |\(|#\s+(?!noqa|nosec|nosemgrep))\S.{3,}$")


def unreasoned(text: str) -> list[str]:
    """Lines with an exception from a check of security and no reason behind it."""
    found = []
    for line in text.splitlines():
        if (match := _EXCEPTION.search(line)) and not _WHY.search(line[match.start() + 1 :]):
            found.append(line.strip())
    return found


def test_every_exception_has_its_reason() -> None:
    files = [path for root in ("engine", "plugins") for path in (ROOT / root).rglob("*.py")]
    assert {str(path): found for path in files if (found := unreasoned(path.read_text()))} == {}


def test_an_exception_without_a_reason_is_seen() -> None:
    assert unreasoned("a = b()  # noqa: S310\nc = d()  # nosec B301\ne()  # noqa: S301  # nosec B301\n") != []
    assert (
        len(unreasoned("a()  # noqa: S310\nb()  # nosec B301\nc()  # noqa: S301  # nosec B301  # nosemgrep: pickle\n"))
        == 3
    )
    assert (
        unreasoned("a()  # noqa: S310 - its own\nb()  # noqa: S105 (a name)\nc()  # nosec B301  # from its parent\n")
        == []
    )


def test_bandit_finds_what_is_planted(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("import hashlib\nimport tempfile\n\nhashlib.md5(b'')\ntempfile.mktemp()\n")
    argv = [sys.executable, "-m", "bandit", "-q", "-c", str(ROOT / "pyproject.toml"), "-r", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert {"B324", "B306"} <= set(re.findall(r"B\d{3}", done.stdout))


def test_bandit_skips_only_what_is_held_otherwise() -> None:
    skips = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["bandit"]["skips"])
    assert skips == {"B101", "B104", "B105", "B108", "B311", "B404", "B506", "B603", "B606", "B607", "B608"}


def test_each_rule_of_semgrep_has_examples_of_both_kinds() -> None:
    rules = yaml.safe_load((ROOT / ".semgrep/rules.yml").read_text())["rules"]
    examples = (ROOT / ".semgrep/rules.py").read_text()
    assert len({rule["id"] for rule in rules}) == len(rules) >= 20
    for rule in rules:
        assert f"# ruleid: {rule['id']}\n" in examples, rule["id"]
        if rule["id"] != "code-from-text":  # there is no way to do that well
            assert f"# ok: {rule['id']}\n" in examples, rule["id"]
