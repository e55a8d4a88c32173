"""The suite for targets finds what is wrong: a good target passes, and each of many bad ones fails where it should."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pizzeria import registry
from pizzeria.conformance.targets import TargetSuite
from pizzeria.errors import PizzeriaError, PluginError
from pizzeria.scaffolding import package
from pizzeria.spec.stages import Serving

GOOD = package("target", "oven")["src/pizzeria_oven/__init__.py"]
HERE = Path(__file__).parent
RENDERING = (
    *("test_its_functions_are_called_as_the_contract_says", "test_every_option_is_described", "test_render_is_pure"),
    *("test_options_are_strict_and_frozen", "test_options_stand_in_a_spec", "test_render_is_safe_text"),
    *("test_render_holds_no_secret", "test_another_bundle_is_rendered_alike", "test_it_says_what_it_does"),
    *("test_hostile_options_change_nothing_else", "test_build_is_reproducible"),
)
LIVE = tuple(
    name for name in vars(TargetSuite) if name.startswith("test_") and name not in RENDERING and "canary" not in name
)


class Oven(TargetSuite):
    """The suite with a small server, which is up in half a second."""

    options: ClassVar[Any] = {"ready_timeout_s": 60}

    @classmethod
    def serving(cls) -> Serving:
        server = registry.load("servers", "quick")
        return Serving(use="quick", options=server.Options(), log=None)


@pytest.fixture
def folder(working_folder: Path) -> Path:
    for kind in ("servers", "targets"):
        (working_folder / "plugins" / kind).mkdir(parents=True)
    shutil.copy(HERE / "quick_server.py", working_folder / "plugins" / "servers" / "quick.py")
    return working_folder


@pytest.fixture
def make(folder: Path) -> Iterator[Any]:
    """A suite for a target's source; what it deployed is taken down in the end."""
    made: list[TargetSuite] = []

    def suite(source: str, **attributes: Any) -> Any:
        name = f"oven_{len(made)}"
        (folder / "plugins" / "targets" / f"{name}.py").write_text(source)
        one = type("TestOven", (Oven,), {"plugin": registry.load("targets", name), **attributes})()
        one.setup_class()
        made.append(one)
        return one

    yield suite
    for one in made:
        with suppress(PluginError):  # a bad target may fail here, too
            one.teardown_class()


def fails(suite: Any, test: str, folder: Path) -> str:
    """What a test of the suite says; nothing when it passes or is skipped."""
    arguments = (folder,) if test == "test_build_is_reproducible" else ()
    try:
        getattr(suite, test)(*arguments)
    except pytest.skip.Exception:
        return ""
    except (AssertionError, PizzeriaError, pytest.fail.Exception) as error:
        return str(error) or type(error).__name__
    return ""


@pytest.mark.slow
def test_a_good_target_passes_in_another_order_too(make: Any, tmp_path: Path) -> None:
    suite = make(GOOD)
    for test in (*RENDERING, *reversed(LIVE)):
        assert not fails(suite, test, tmp_path / "built"), test
        shutil.rmtree(tmp_path / "built", ignore_errors=True)


def rendering(body: str, options: str = "") -> str:
    """A target with another `render`, and more options."""
    head, _, rest = GOOD.partition("def render(")
    _, _, tail = rest.partition("\n\n\n")
    head = head.replace("    ready_timeout_s", f"    {options}\n    ready_timeout_s") if options else head
    return f"{head}def render(release, options, port=0):\n    {body}\n\n\n{tail}"


TEXT = 'region: str = Field(default="ams", description="Where.")'
CHOSEN = 'region: str = Field(default="ams", pattern=r"^[a-z]{3}$", description="Where.")'
BAD_RENDERING = {
    "a parameter too few": (
        GOOD.replace("def remove(name: str, options: Options, state: Path)", "def remove(name: str, options: Options)"),
        "test_its_functions_are_called_as_the_contract_says",
        "remove(name, options) instead of remove(name, options, state)",
    ),
    "another order": (
        GOOD.replace("def status(name: str, options: Options,", "def status(options: Options, name: str,"),
        "test_its_functions_are_called_as_the_contract_says",
        "status(options, name, state) instead of",
    ),
    "half a canary": (
        f"{GOOD}\ndef stage(release, options, progress): ...\n",
        "test_its_functions_are_called_as_the_contract_says",
        "shift is missing; observe is missing; settle is missing",
    ),
    "no description": (
        rendering("pass", 'region: str = "ams"'),
        "test_every_option_is_described",
        "without a description: region",
    ),
    "no docstring": (GOOD.replace('"""', "# ", 1).replace('"""', "", 1), "test_it_says_what_it_does", "docstring"),
    "chance": (
        rendering("import uuid; return Rendered({'id': uuid.uuid4().hex})"),
        "test_render_is_pure",
        "something else the second time",
    ),
    "writes": (
        rendering("open(release.state / 'x', 'w').close(); return Rendered({'a': 'b'})"),
        "test_render_is_pure",
        "writes /",
    ),
    "reads": (
        rendering("open('/etc/hostname').close(); return Rendered({'a': 'b'})"),
        "test_render_is_pure",
        "reads /etc/hostname",
    ),
    "asks": (
        rendering("import socket; socket.create_server(('127.0.0.1', 0)).close(); return Rendered({'a': 'b'})"),
        "test_render_is_pure",
        "socket.bind",
    ),
    "runs": (
        rendering("subprocess.run(['true']); return Rendered({'a': 'b'})"),
        "test_render_is_pure",
        "subprocess.Popen",
    ),
    "changes the environment": (
        rendering("os.environ['X'] = str(time.time()); return Rendered({'a': 'b'})"),
        "test_render_is_pure",
        "os.putenv",
    ),
    "nothing": (rendering("return Rendered()"), "test_render_is_pure", "neither files nor commands"),
    "an absolute path": (rendering("return Rendered({'/etc/x': ''})"), "test_render_is_safe_text", "no plain relative"),
    "a path that leads out": (
        rendering("return Rendered({'a/../../x': ''})"),
        "test_render_is_safe_text",
        "no plain rel",
    ),
    "a strange name": (rendering("return Rendered({'a\\nb': ''})"), "test_render_is_safe_text", "no good everywhere"),
    "two names in one": (
        rendering("return Rendered({'A': '', 'a': ''})"),
        "test_render_is_safe_text",
        "one name where",
    ),
    "no JSON": (rendering("return Rendered({'a.json': '{'})"), "test_render_is_safe_text", "cannot be read back"),
    "no YAML": (rendering("return Rendered({'a.yaml': '{['})"), "test_render_is_safe_text", "cannot be read back"),
    "a shell": (rendering("return Rendered(commands=[['sh', '-c', 'ls']])"), "test_render_is_safe_text", "for a shell"),
    "no program": (rendering("return Rendered(commands=[[]])"), "test_render_is_safe_text", "names no program"),
    "a bad variable": (
        rendering("return Rendered(environment={'A B': ''})"),
        "test_render_is_safe_text",
        "no name of an",
    ),
    "a secret": (
        rendering("return Rendered({'env': os.environ.get(release.serving.keys_from or '', '')})"),
        "test_render_holds_no_secret",
        "value of a secret",
    ),
    "YAML by hand": (
        rendering("return Rendered({'a.yaml': f'region: {options.region}\\n'})", TEXT),
        "test_hostile_options_change_nothing_else",
        "region=",
    ),
    "JSON by hand": (
        rendering("return Rendered({'a.json': '{\"region\": \"' + options.region + '\"}'})", TEXT),
        "test_hostile_options_change_nothing_else",
        "region=",
    ),
    "ini by hand": (
        rendering("return Rendered({'a.ini': f'[a]\\nregion = {options.region}\\n'})", TEXT),
        "test_hostile_options_change_nothing_else",
        "region=",
    ),
    "a file of lines": (
        rendering("return Rendered({'nginx.conf': f'server_name {options.region};\\n'})", TEXT),
        "test_hostile_options_change_nothing_else",
        "region=",
    ),
    "a name of a file": (
        rendering("return Rendered({options.region: ''})", TEXT),
        "test_hostile_options_change_nothing_else",
        "region=",
    ),
    "words of a command": (
        rendering("return Rendered(commands=[['deploy', *options.region.split()]])", TEXT),
        "test_hostile_options_change_nothing_else",
        "structure",
    ),
    "keys of a mapping": (
        rendering(
            "return Rendered(environment=dict(options.env))",
            'env: dict[str, str] = Field(default={}, description="Variables.")',
        ),
        "test_hostile_options_change_nothing_else",
        "env (key)=",
    ),
    "an error of its own": (
        rendering("region = {'abc': 1, 'ams': 2}[options.region]; return Rendered({'a': 'b'})", TEXT),
        "test_hostile_options_change_nothing_else",
        "failed in render: KeyError",
    ),
    "a build by chance": (
        f"{GOOD}\ndef build(release, options, folder, progress): (folder / 'x').write_bytes(os.urandom(8))\n",
        "test_build_is_reproducible",
        "the second build differs",
    ),
}


@pytest.mark.parametrize("name", BAD_RENDERING)
def test_what_is_rendered_wrongly_is_found(make: Any, tmp_path: Path, name: str) -> None:
    source, test, told = BAD_RENDERING[name]
    assert source != GOOD
    assert told in fails(make(source), test, tmp_path / "built")


def test_what_is_rendered_well_passes(make: Any, tmp_path: Path) -> None:
    good = {
        "a checked text": rendering("return Rendered({'a.ini': f'[a]\\nregion = {options.region}\\n'})", CHOSEN),
        "a library that quotes": rendering("return Rendered({'a.json': json.dumps([options.region])})", TEXT),
        "an argument": rendering(
            "return Rendered(commands=[['deploy', '--', options.region.replace(chr(0), '')]])", TEXT
        ),
    }
    for name, source in good.items():
        suite = make(source)
        for test in RENDERING:
            assert not fails(suite, test, tmp_path / name / "built"), (name, test)


def test_an_author_can_say_how_a_file_is_read(make: Any, tmp_path: Path) -> None:
    source = rendering(
        "return Rendered({'nginx.conf': f'server_name {options.region};\\n'})", CHOSEN.replace("a-z", "a-z;")
    )

    def parse(self: Any, name: str, text: str) -> Any:
        return text.split(";")

    suite = make(source, parse=parse)
    assert "structure" not in fails(suite, "test_hostile_options_change_nothing_else", tmp_path)
    with pytest.raises(AssertionError, match="cannot be read back"):
        make(source, parse=lambda *_: int("no number")).test_render_is_safe_text()


def changed(old: str, new: str) -> str:
    assert old in GOOD, old
    return GOOD.replace(old, new)


KEPT = "    _file(name, state).unlink()"
BAD_DEPLOYING = {
    "always live": (
        changed('return DeploymentStatus("absent")', 'return DeploymentStatus("live", "http://127.0.0.1:9", "ab")'),
        "test_nothing_is_there_at_first",
    ),
    "does not wait": (
        changed("        _wait(new, release, options)\n", ""),
        "test_a_bundle_that_does_not_start_leaves_nothing_live",
    ),
    "says another hash": (
        changed(
            'return DeploymentStatus("live", new["address"], release.sha256)',
            'return DeploymentStatus("live", new["address"], "ab")',
        ),
        "test_it_comes_up",
    ),
    "starts it anew": (
        changed('if old is not None and old["wanted"] == wanted', "if old is None and False"),
        "test_a_second_apply_changes_nothing",
    ),
    "stops the old one first": (
        changed(
            "    port = free_port()",
            "    if old is not None:\n        _stop(old)\n    port = free_port()",
        ),
        "test_a_newer_bundle_takes_over",
    ),
    "keeps the old one": (
        changed(
            "    try:\n        _wait(",
            "    if old: return status(release.name, options, release.state)\n    try:\n        _wait(",
        ),
        "test_a_newer_bundle_takes_over",
    ),
    "lets go of the old one": (
        changed(
            "        _stop(new)\n        raise",
            "        _stop(new)\n        remove(release.name, options, release.state)\n        raise",
        ),
        "test_a_bundle_that_answers_otherwise_changes_nothing",
    ),
    "raises something else": (
        changed("            raise DeploymentError(", "            raise RuntimeError(").replace(
            ', hint=f"{log} says why")', ")"
        ),
        "test_a_bundle_that_does_not_start_changes_nothing",
    ),
    "goes on running": (changed("        _stop(found)\n        _file", "        _file"), "test_it_goes"),
    "is not removed": (changed("        _file(name, state).unlink()\n", "        pass\n"), "test_it_goes"),
    "fails the second time": (
        changed("    if found is not None:\n        _stop(found)", "    if True:\n        _stop(found)"),
        "test_it_goes",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD_DEPLOYING)
def test_what_is_deployed_wrongly_is_found(make: Any, tmp_path: Path, name: str) -> None:
    source, test = BAD_DEPLOYING[name]
    suite = make(source)
    try:
        assert fails(suite, test, tmp_path)
    finally:
        _end(suite)


def _end(suite: Any) -> None:
    """End what a bad target leaves behind."""
    import psutil

    for process in suite.plugin.plugin._started:
        if process.poll() is None:
            for one in (*psutil.Process(process.pid).children(recursive=True), process):
                one.kill()
        process.wait()
    suite.plugin.plugin._file(suite.name, suite._folder / "state").unlink(missing_ok=True)


@pytest.mark.slow
def test_other_answers_are_found(make: Any, folder: Path, tmp_path: Path) -> None:
    server = folder / "plugins" / "servers" / "quick.py"
    server.write_text(server.read_text().replace("self.send_response(found.status)", "self.send_response(200)"))
    assert "status 200 instead of" in fails(make(GOOD), "test_it_gives_the_same_answers", tmp_path)


def test_without_a_place_only_what_is_rendered_is_checked(make: Any, tmp_path: Path) -> None:
    suite = make(GOOD, no_place="there is no account")
    for test in LIVE:
        with pytest.raises(pytest.skip.Exception, match="there is no account"):
            getattr(suite, test)()
    assert not suite.plugin.plugin._started


def test_the_suite_needs_neither_onnx_nor_torch() -> None:
    import subprocess

    code = (
        "import sys\nfor name in ('onnx', 'torch', 'pandas'): sys.modules[name] = None\n"
        "import pizzeria.conformance.targets as t\nfrom pizzeria.conformance.tiny_bundles import OLDER\n"
        "from pizzeria.conformance.corpus import record\nfrom pizzeria.spec.stages import Serving\n"
        "print(len(record(OLDER, Serving())))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
