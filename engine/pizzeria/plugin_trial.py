"""Runs a conformance suite against one plugin, and tells how it went, test by test."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pizzeria import registry
from pizzeria.errors import PluginError
from pizzeria.plugin_facts import find_plugin

Say = Callable[[str, str, str], None]
"""Told of each test: `passed`, `failed` or `skipped`, what is tested, and why it failed or was skipped."""
_SHOWN_LINES = 12


@dataclass
class Trial:
    """How many tests went how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


def try_plugin(name: str, kind: str | None, options: Sequence[str], only_rendered: bool, say: Say) -> Trial:
    """Run the suite.

    Args:
        name: Of an installed plugin or one of ./plugins, or the path of a file or of a package with tests.
        kind: Such as `targets` or `target`; may be left out where the name says it.
        options: `key=value`, the value as YAML.
        only_rendered: Deploy nothing.

    Raises:
        PluginError: there is no such plugin, it is broken, or pytest is not installed.
    """
    try:
        import pytest
    except ImportError:
        raise PluginError("the conformance suites need pytest", hint="pip install 'pizzeria[test]'") from None
    trial = _Plugin(say)
    path = Path(name)
    if path.is_dir():
        arguments, suite = ["--rootdir", str(path), str(path)], ""
    else:
        arguments, suite = [], _suite(name, _full(kind), _values(options), only_rendered)
    with tempfile.TemporaryDirectory(prefix="pizzeria-trial-") as folder:
        if suite:
            (Path(folder) / "test_plugin.py").write_text(suite)
            arguments = ["-c", "/dev/null", "--rootdir", folder, folder]
        quiet = ["-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--import-mode=importlib"]
        with contextlib.redirect_stdout(io.StringIO()):  # what plugins and pytest print is no result
            code = pytest.main([*quiet, *arguments], plugins=[trial])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise PluginError(f"the tests of {name} could not be run: {trial.trouble or code!r}")
    return trial.count


def _suite(name: str, kind: str | None, options: dict[str, Any], only_rendered: bool) -> str:
    """A test file with one subclass of the suite."""
    from pizzeria.conformance.plugins import plugin_of

    if name.endswith(".py"):
        name = str(Path(name).absolute())
        found = kind or Path(name).parent.name
        if found not in registry.KINDS:
            raise PluginError(f"{name} does not say its kind", hint=f"pizzeria plugins test target {name}")
    else:
        found = find_plugin(name, kind).kind
    plugin_of(found, name)  # a broken one is told at once
    module, base = ("plugins", "PluginSuite")
    if found == "targets":
        module, base = ("targets", "TargetSuite")
    elif found == "sources" and options:  # without options there is nothing that it could read
        module, base = ("sources", "SourceSuite")
    elif found == "alerts" and options:  # which say where to
        module, base = ("alerts", "AlertSuite")
    lines = [
        "from pizzeria.conformance.plugins import plugin_of",
        f"from pizzeria.conformance.{module} import {base}",
        f"class TestPlugin({base}):",
        f"    kind = {found!r}",
        f"    plugin = plugin_of({found!r}, {name!r})",
        f"    options = {options!r}",
    ]
    if only_rendered:
        lines += ["    no_place = no_build = '--only-rendered'"]
    return "\n".join([*lines, ""])


def _full(kind: str | None) -> str | None:
    return kind if kind is None or kind in registry.KINDS or f"{kind}s" not in registry.KINDS else f"{kind}s"


def _values(options: Sequence[str]) -> dict[str, Any]:
    out = {}
    for one in options:
        key, _, text = one.partition("=")
        try:
            out[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise PluginError(f"{one!r} is no option: {error}", hint="write KEY=VALUE, the value as in YAML") from None
    return out


class _Plugin:
    """A plugin of pytest that tells of each test as it ends."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.count = Trial()
        self.trouble = ""
        self.titles: dict[str, str] = {}
        self.stdout = sys.stdout

    def pytest_collection_modifyitems(self, items: Sequence[Any]) -> None:
        for item in items:
            words = (item.function.__doc__ or "").strip().split("\n")[0]
            self.titles[item.nodeid] = words or item.name.removeprefix("test_").replace("_", " ")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.trouble = _end(str(report.longrepr))

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.passed and report.when != "call":
            return
        why = ""
        if report.skipped:
            why = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = _end(crash.message if crash is not None else str(report.longrepr))
        setattr(self.count, report.outcome, getattr(self.count, report.outcome) + 1)
        with contextlib.redirect_stdout(self.stdout):
            self.say(report.outcome, self.titles.get(report.nodeid, report.nodeid), why)


def _end(text: str) -> str:
    lines = [line for line in text.removeprefix("AssertionError: ").splitlines() if line.strip()]
    return "\n".join([*lines[:_SHOWN_LINES], *(["..."] if len(lines) > _SHOWN_LINES else [])])
