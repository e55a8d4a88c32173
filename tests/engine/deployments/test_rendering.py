"""--dry-run and --out: what a target would do, as text that can be pasted and as files that stay in their folder."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizzeria.contracts import Rendered
from pizzeria.deployments.rendering import commands_text

from .conftest import Stall
from .test_live import ok, pizzeria


def listing(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if "__pycache__" not in path.parts}


def renders(stall: Stall, files: str, rest: str = "") -> None:
    """Let the target render these files."""
    target = stall.folder / "plugins" / "targets" / "stalls.py"
    target.write_text(target.read_text() + f"\ndef render(release, options):\n    return Rendered({files})\n{rest}")


def test_a_dry_run_shows_all_and_touches_nothing(stall: Stall) -> None:
    before = listing(stall.folder)
    said = ok("deploy", "prices-a", "--dry-run")
    assert said == (
        "==> service.ini <==\n[prices]\n\n==> environment and commands <==\n"
        f"export PLACE=here\nserve {stall.sha256['a']}\n"
    )
    assert listing(stall.folder) == before


def test_out_writes_files_and_what_the_target_builds(stall: Stall) -> None:
    build = (
        "\ndef build(release, options, folder, progress):\n"
        "    (folder / 'deep').mkdir(exist_ok=True)\n"
        "    (folder / 'deep' / 'zip').write_bytes(b'x' if options.port == 1 else b'y')\n"
        "    assert (folder / 'COMMANDS').exists()\n"
    )
    renders(stall, "{'a/b.ini': str(options.port)} if options.port == 1 else {'c.ini': '2'}", build)
    out = stall.folder / "out"
    said = ok("deploy", "prices-a", "--out", str(out))
    assert said.splitlines() == [str(out / name) for name in ("COMMANDS", "a/b.ini", "deep/zip")]
    assert (out / "a" / "b.ini").read_text() == "1"
    assert "# no command" in (out / "COMMANDS").read_text()
    ok("deploy", "prices-a", "deployment.port=2", "--out", str(out))  # what it wrote before goes
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [
        ".pizzeria-deployment.json",
        "COMMANDS",
        "c.ini",
        "zip",
    ]
    assert stall.events() == []


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a/./b", "", "a\\\\b"])
def test_a_file_that_would_leave_the_folder_is_refused(stall: Stall, name: str) -> None:
    renders(stall, f"{{'{name}': 'x'}}")
    done = pizzeria("deploy", "prices-a", "--out", str(stall.folder / "deep" / "out"))
    assert done.exit_code == 6, done.output
    assert "does not lie below the folder" in done.stderr
    assert not list(stall.folder.rglob("evil"))


def test_a_folder_that_is_not_ours_is_refused(stall: Stall) -> None:
    out = stall.folder / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    done = pizzeria("deploy", "prices-a", "--out", str(out))
    assert done.exit_code == 6
    assert "holds something that no `pizzeria deploy --out` wrote" in done.stderr
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / ".pizzeria-deployment.json").write_text('{"files": ["../prices.yaml"]}')
    assert pizzeria("deploy", "prices-a", "--out", str(out)).exit_code == 6
    assert (stall.folder / "prices.yaml").exists()


def test_a_link_in_the_folder_leads_nowhere(stall: Stall) -> None:
    renders(stall, "{'a/b.ini': 'x'}")
    out, elsewhere = stall.folder / "out", stall.folder / "elsewhere"
    ok("deploy", "prices-a", "--out", str(out))
    (out / "a" / "b.ini").unlink()
    (out / "a").rmdir()
    elsewhere.mkdir()
    (out / "a").symlink_to(elsewhere)
    done = pizzeria("deploy", "prices-a", "--out", str(out))
    assert done.exit_code == 6
    assert "is a link out of" in done.stderr
    assert list(elsewhere.iterdir()) == []


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(st.lists(words, min_size=1, max_size=4), words)
def test_commands_and_environment_parse_back(command: list[str], value: str) -> None:
    export, run = commands_text(Rendered({}, [command], {"NAME": value})).split("\n")[:2]
    assert shlex.split(export) == ["export", f"NAME={value}"]
    assert shlex.split(run) == command


def test_a_shell_reads_them(tmp_path: Path) -> None:
    text = commands_text(Rendered({}, [["printf", "%s|", "a b", "it's", "$HOME", "`x`", "*"]], {"A": "$(x) 'y'"}))
    done = subprocess.run(["sh", "-c", f'{text}printf "%s" "$A"'], capture_output=True, text=True, check=True)
    assert done.stdout == "a b|it's|$HOME|`x`|*|$(x) 'y'"
