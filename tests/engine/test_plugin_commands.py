"""`pizzeria plugins list | show | new | test`, as somebody uses them who writes a plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from pizzeria import registry
from pizzeria.cli import main
from pizzeria.errors import PluginError
from pizzeria.plugin_facts import find_plugin, snippet
from pizzeria.scaffolding import STARTERS, check_name, start_plugin

BELL = '''
"""Rings a bell for each alert.

It needs a bell.
"""
from pydantic import Field
from pizzeria.spec.section import Options as PluginOptions

class Options(PluginOptions):
    path: str = Field(default="alerts.txt", description="Where the bell hangs.")
    times: int = Field(ge=1, description="How often it rings.")

def send(options, notice):
    pass
'''


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def folder(working_folder: Path) -> Path:
    (working_folder / "plugins" / "alerts").mkdir(parents=True)
    (working_folder / "plugins" / "alerts" / "bell.py").write_text(BELL)
    (working_folder / "plugins" / "alerts" / "bomb.py").write_text("import sys\nsys.exit(3)\n")
    return working_folder


def test_list_shows_what_each_does_and_goes_on_after_a_broken_one(folder: Path) -> None:
    done = run("plugins", "list")
    assert done.exit_code == 0, done.output
    assert "bell                 Rings a bell for each alert." in done.output
    assert "broken: the plugin 'bomb' (./plugins/alerts/bomb.py) cannot be imported: SystemExit: 3" in done.output
    assert all(f"{kind}\n" in done.output for kind in registry.KINDS)
    only = run("plugins", "list", "alerts").output
    assert "bell" in only
    assert "sqlite" not in only


def test_an_unknown_kind_is_told_with_the_nearest(folder: Path) -> None:
    done = run("plugins", "list", "alert")
    assert done.exit_code == PluginError.exit_code
    assert "did you mean alerts?" in done.output


def test_show_tells_all_that_a_user_needs(folder: Path) -> None:
    done = run("plugins", "show", "bell")
    assert done.exit_code == 0, done.output
    for text in ("./plugins/alerts/bell.py", "It needs a bell.", "text, default alerts.txt", "integer, required"):
        assert text in done.output
    assert "How often it rings. (at least 1)" in done.output
    pasted = yaml.safe_load(done.output.split("In a spec:")[1])
    assert pasted == {"monitoring": {"alerts": [{"use": "bell", "path": "alerts.txt", "times": "..."}]}}


def test_show_says_why_a_plugin_is_broken(folder: Path) -> None:
    done = run("plugins", "show", "alerts", "bomb")
    assert done.exit_code == PluginError.exit_code
    assert "SystemExit: 3" in done.output


def test_show_asks_for_the_kind_where_two_have_the_name(folder: Path) -> None:
    (folder / "plugins" / "targets").mkdir()
    (folder / "plugins" / "targets" / "bell.py").write_text(BELL)
    with pytest.raises(PluginError, match="'bell' is there among the targets and alerts") as caught:
        find_plugin("bell")
    assert caught.value.hint == "say the kind first: alerts bell"
    assert find_plugin("bell", "alerts").kind == "alerts"
    with pytest.raises(PluginError, match="there is no plugin 'belt'") as missing:
        find_plugin("belt")
    assert missing.value.hint == "did you mean bell?"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in registry.KINDS for name in registry.find(kind)])
def test_what_show_gives_to_paste_is_yaml_that_names_the_plugin(kind: str, name: str) -> None:
    facts = find_plugin(name, kind)
    assert not facts.fault, facts.fault
    assert f": {name}" in yaml.safe_dump(yaml.safe_load(facts.snippet))
    assert facts.version
    assert snippet(kind, name, {})


@pytest.mark.parametrize("kind", STARTERS)
@pytest.mark.slow
def test_a_new_plugin_passes_its_tests_as_written(working_folder: Path, kind: str) -> None:
    done = run("plugins", "new", kind, "fly_io", "--dir", str(working_folder / "made"))
    assert done.exit_code == 0, done.output
    package = working_folder / "made" / "pizzeria-fly-io"
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert files == {"pyproject.toml", "README.md", "src/pizzeria_fly_io/__init__.py", "tests/test_fly_io.py"}
    assert not [file for file in files if "plugin_name" in (package / file).read_text()]
    assert not [file for file in files if "plugin-name" in (package / file).read_text()]
    for check in (["-m", "pytest", "-q"], *RUFF):
        tried = subprocess.run(
            [sys.executable, *check], cwd=package, capture_output=True, text=True, timeout=500, check=False
        )
        assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "use: fly_io\n" in (package / "README.md").read_text()


RUFF = (
    ["-m", "ruff", "check", "--isolated", "--line-length=120", "--select=E,F,W,I,B,UP,SIM,RUF"],
    ["-m", "ruff", "format", "--isolated", "--line-length=120", "--check"],
)


def test_a_package_is_never_written_over(working_folder: Path) -> None:
    start_plugin("alert", "siren", working_folder)
    with pytest.raises(PluginError, match="pizzeria-siren exists"):
        start_plugin("alerts", "siren", working_folder)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Fly-IO", "such as fly_io"),
        ("fly io", "such as fly_io"),
        ("../etc", "such as etc"),
        ("", "such as fly_io"),
        ("2nd", "such as fly_io"),
        ("class", "such as fly_io"),
        ("a__b", "such as a_b"),
        ("küche", "such as k_che"),
        ("a" * 41, "such as " + "a" * 40),
        ("fly_io\n", "such as fly_io"),
    ],
)
def test_a_bad_name_is_refused_with_a_better_one(name: str, hint: str) -> None:
    with pytest.raises(PluginError, match="is no name for a plugin") as caught:
        check_name(name, "targets")
    assert caught.value.hint == hint


def test_a_taken_name_and_an_unknown_kind_are_refused(working_folder: Path) -> None:
    assert "there is a plugin 'local' among the targets" in run("plugins", "new", "target", "local").output
    done = run("plugins", "new", "targt", "mine")
    assert done.exit_code == PluginError.exit_code
    assert "did you mean target" in done.output
    assert not list(working_folder.iterdir())


def trial(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`pizzeria plugins test`, in a process of its own: pytest does not run within itself."""
    command = [sys.executable, "-m", "pizzeria.cli", "plugins", "test", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_test_tells_how_each_check_went(folder: Path) -> None:
    done = trial("alerts", "bell", "times=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed  each option has a description" in done.stdout + done.stderr
    assert "9 passed, 0 failed, 4 skipped" in done.stdout + done.stderr


def test_test_of_a_file_anywhere(folder: Path) -> None:
    (folder / "mine.py").write_text(BELL.replace(', description="How often it rings."', ""))
    done = trial("alert", "mine.py", "times=2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed  each option has a description\n        without a description: times" in done.stdout + done.stderr
    assert "does not say its kind" in trial("mine.py").stderr


def test_test_tells_of_wrong_options(folder: Path) -> None:
    done = trial("alerts", "bell", "times=0")
    assert done.returncode == 1, done.stderr
    assert "greater than or equal to 1" in done.stdout + done.stderr
    assert "is no option" in trial("alerts", "bell", "times=[").stderr


def test_test_renders_alone_where_there_is_no_place(folder: Path) -> None:
    done = trial("targets", "local", "--only-rendered")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped apply brings the bundle live" in done.stdout + done.stderr
    assert "passed  render gives the same twice" in done.stdout + done.stderr


def test_test_needs_pytest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    done = run("plugins", "test", "alerts", "log")
    assert done.exit_code == PluginError.exit_code
    assert "pip install 'pizzeria[test]'" in done.output
