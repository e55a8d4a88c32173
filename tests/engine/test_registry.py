"""Plugins: found by entry point or in the working folder, imported only when named, and never a danger to the rest."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from pizzeria import plugin_guard, registry
from pizzeria.conformance.signatures import PROTOCOLS, signature_faults
from pizzeria.contracts import DeploymentStatus, Release, Rendered
from pizzeria.errors import DeploymentError, PluginError, SpecError
from pizzeria.loading import load_spec
from pizzeria.schema import json_schema

GOOD = """
from pizzeria.spec.section import Options as PluginOptions

class Options(PluginOptions):
    path: str = "alerts.txt"

def send(options, notice):
    pass
"""
TARGET = """
import sys, time
from pizzeria.contracts import DeploymentStatus, Rendered
from pizzeria.errors import DeploymentError
from pizzeria.spec.section import Options as PluginOptions

class Options(PluginOptions):
    pass

def render(release, options):
    return Rendered(commands=[["true"]])

def apply(release, options, progress):
    return DeploymentStatus("live", "http://127.0.0.1:1", "ab")

def status(name, options, state):
    return DeploymentStatus("absent")

def remove(name, options, state):
    pass
"""
BUILT_IN = [(kind, name) for kind in registry.KINDS for name in registry.find(kind)]


def _plugin(folder: Path, kind: str, name: str, text: str) -> None:
    (folder / "plugins" / kind).mkdir(parents=True, exist_ok=True)
    (folder / "plugins" / kind / f"{name}.py").write_text(text)


@pytest.mark.parametrize(("kind", "name"), BUILT_IN, ids=[f"{kind}-{name}" for kind, name in BUILT_IN])
def test_every_built_in_plugin_loads_and_has_the_documented_signatures(kind: str, name: str) -> None:
    plugin = registry.load(kind, name)
    assert signature_faults(kind, plugin.plugin) == []
    assert (plugin.plugin.__doc__ or "").strip(), "its first line is shown by `pizzeria plugins list`"
    assert registry.module_of(plugin).__name__.startswith("pizzeria_plugins.")


def test_a_kind_exists_only_when_a_real_plugin_uses_it() -> None:
    assert {kind for kind, _ in BUILT_IN} == set(registry.KINDS)


def test_the_documented_parts_are_those_of_the_protocols() -> None:
    assert PROTOCOLS.keys() == registry.KINDS.keys()
    for kind, (protocol, *_) in PROTOCOLS.items():
        methods = {name for name in vars(protocol) if not name.startswith("_") and callable(getattr(protocol, name))}
        annotated = {name for name in protocol.__annotations__ if name.isupper()}
        assert set(registry.KINDS[kind]) == {"Options"} | methods | annotated, kind


def test_only_what_is_named_is_imported(working_folder: Path) -> None:
    _plugin(working_folder, "alerts", "bell", GOOD)
    _plugin(working_folder, "alerts", "bomb", "raise RuntimeError('imported')")
    assert registry.load("alerts", "bell").Options().path == "alerts.txt"
    with pytest.raises(PluginError, match=r"bomb.*cannot be imported: RuntimeError: imported"):
        registry.load("alerts", "bomb")
    assert "pizzeria_local.alerts.bomb" not in sys.modules


def test_unknown_and_twice(working_folder: Path) -> None:
    with pytest.raises(PluginError) as caught:
        registry.load("sources", "room")
    assert caught.value.hint == "did you mean rooms?"
    _plugin(working_folder, "alerts", "log", GOOD)
    with pytest.raises(PluginError, match="there twice"):
        registry.load("alerts", "log")


BROKEN = {
    "lacks": (GOOD.replace("def send", "def shout"), "lacks send"),
    "no_function": (GOOD + "\nsend = 7\n", "send is no function"),
    "raises": ("raise ValueError('no oven')", "cannot be imported: ValueError: no oven"),
    "exits": ("import sys\nsys.exit(3)", "cannot be imported: SystemExit: 3"),
    "strange": ("class Odd(BaseException): pass\nraise Odd('odd')", "cannot be imported: Odd: odd"),
    "syntax": ("def send(:", "cannot be imported: SyntaxError"),
    "missing": ("import an_absent_library", "cannot be imported: ModuleNotFoundError"),
    "deep": ("def f(): f()\nf()", "cannot be imported: RecursionError"),
    "prints": (GOOD + "\nprint('hello from the plugin')\n", "prints to stdout when it is imported: 'hello from the pl"),
    "a_dictionary": (
        GOOD.replace("class Options(PluginOptions):\n    path", "Options = {}\nclass O:\n    path"),
        "no pydantic",
    ),
    "an_instance": (GOOD + "\nOptions = Options()\n", "Options is no pydantic model"),
    "thawed": (GOOD.replace("    path", "    model_config = {'frozen': False}\n    path"), "Options is not frozen"),
    "loose": (
        GOOD.replace("    path", "    model_config = {'extra': 'allow'}\n    path"),
        "Options lets unknown keys pass",
    ),
    "wrong_default": (GOOD.replace('"alerts.txt"', "7"), "refused by itself: path: Input should be a valid string"),
    "wrong_default_2": (GOOD.replace('= "alerts.txt"', "= 7\n    port: int"), "the default of path is refused"),
    "raising_options": (
        GOOD.replace("    path", "    def __init__(self, **k): raise OSError('no disk')\n    path"),
        r"Options\(\) raises OSError: no disk",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_told_by_its_name_and_origin(
    working_folder: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    text, fault = BROKEN[name]
    _plugin(working_folder, "alerts", name, text)
    _plugin(working_folder, "alerts", "bell", GOOD)
    with pytest.raises(PluginError, match=rf"the plugin '{name}' \(\./plugins/alerts/{name}\.py\).*{fault}"):
        registry.load("alerts", name)
    sound = [one for one, _ in registry.sound("alerts")]
    assert "bell" in sound
    assert name not in sound
    assert capfd.readouterr().out == ""


def test_a_broken_plugin_is_a_fault_of_the_spec_that_names_it_and_of_no_other(working_folder: Path) -> None:
    _plugin(working_folder, "alerts", "bomb", "import sys\nsys.exit(3)")
    with pytest.raises(SpecError, match=r"(?s)monitoring\.alerts.*bomb.*SystemExit"):
        load_spec(["experiment=amenities", "monitoring.alerts=[{use: bomb}]"])
    assert load_spec(["experiment=amenities"]).name == "amenities"
    assert "log" in str(json_schema()["$defs"]["Alert"]["properties"]["use"]["enum"])


@pytest.mark.parametrize("how", ["import time\ntime.sleep(60)", "while True:\n    pass", "STUBBORN"])
def test_a_plugin_that_hangs_on_import_is_given_up(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    stubborn = (
        "import time\nfor _ in range(2):\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass\n"
    )
    _plugin(working_folder, "alerts", "slow", (stubborn if how == "STUBBORN" else how) + GOOD)
    monkeypatch.setenv("PIZZERIA_PLUGIN_TIMEOUT_S", "0.2")
    if how == "STUBBORN":  # it has two alarms to swallow, and must not get the third, however busy the machine is
        monkeypatch.setenv("PIZZERIA_PLUGIN_TIMEOUT_S", "2")
        monkeypatch.setattr(plugin_guard, "_AGAIN_S", 2)
    before = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0
    if how == "STUBBORN":  # it swallows each alarm, and comes to its end all the same
        registry.load("alerts", "slow")
    else:
        with pytest.raises(PluginError, match=r"the plugin 'slow' .* was not imported after 0\.2 s") as caught:
            registry.load("alerts", "slow")
        assert "PIZZERIA_PLUGIN_TIMEOUT_S" in caught.value.hint
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0) == before


def test_the_limit_must_be_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("soon", "-1", "nan", "0"):
        monkeypatch.setenv("PIZZERIA_PLUGIN_TIMEOUT_S", wrong)
        with pytest.raises(PluginError, match="PIZZERIA_PLUGIN_TIMEOUT_S"):
            plugin_guard.import_limit_s()


def test_a_library_that_keeps_stdout_on_import_writes_to_it_later(
    working_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keeps = "\nimport sys\nkept = sys.stdout\ndef send(options, notice):\n    print('later', file=kept)\n"
    _plugin(working_folder, "alerts", "keeper", GOOD + keeps)
    registry.load("alerts", "keeper").send(None, None)
    assert capsys.readouterr().out == "later\n"


def test_plugins_load_outside_the_main_thread_too(working_folder: Path) -> None:
    _plugin(working_folder, "alerts", "bell", GOOD)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(registry.load("alerts", "bell").name))
    thread.start()
    thread.join()
    assert found == ["bell"]


def test_a_thread_waits_for_a_plugin_that_another_one_imports(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pages of `pizzeria ui` do: half of a module lacks what its kind asks for."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # which two imports at once may leave watched
    waits = "import time\nfrom pathlib import Path\nPath('begun').touch()\nwhile not Path('go').exists():\n"
    _plugin(working_folder, "alerts", "slow", f"{waits}    time.sleep(0.01)\n{GOOD}")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(registry.load, "alerts", "slow")
        while not Path("begun").exists():
            assert not first.done()
            time.sleep(0.01)
        second = pool.submit(registry.load, "alerts", "slow")
        try:
            assert not wait([second], timeout=0.3).done
        finally:
            Path("go").touch()
        assert first.result() == second.result()


def _target(folder: Path, change: str) -> plugin_guard.Guarded:
    name = f"odd_{abs(hash(change))}"
    _plugin(folder, "targets", name, f"{TARGET}\n{change}\n")
    found: plugin_guard.Guarded = registry.load("targets", name)
    return found


RETURNS = {
    "def render(release, options): return {}": ("render", "render returned dict instead of Rendered"),
    "def render(release, options): return None": ("render", "render returned None"),
    "def render(release, options): return Rendered({'a': 7})": ("render", "files has 'a': int instead of text"),
    "def render(release, options): return Rendered(commands=['ls -l'])": (
        "render",
        "'ls -l', which is no list of texts",
    ),
    "def render(release, options): return Rendered(commands=[['ls', 7]])": ("render", "which is no list of texts"),
    "def render(release, options): return Rendered(environment=['A'])": ("render", "environment is no mapping"),
    "def apply(release, options, progress): pass": ("apply", "apply returned None"),
    "def status(name, options, state): return 'live'": ("status", "status returned str instead of DeploymentStatus"),
    "def status(name, options, state): return DeploymentStatus('fine')": (
        "status",
        "the state 'fine', which is none of",
    ),
    "def status(name, options, state): return DeploymentStatus('live', None)": ("status", "is no text"),
    "def observe(*a): return 1, 2": ("observe", "something else than two observations"),
    "def render(release, options): raise KeyError('region')": ("render", "failed in render: KeyError: 'region'"),
    "def remove(name, options, state): sys.exit('bye')": ("remove", "failed in remove: SystemExit: bye"),
}


@pytest.mark.parametrize("change", RETURNS)
def test_what_a_function_does_wrong_is_told_by_its_name(working_folder: Path, change: str) -> None:
    part, fault = RETURNS[change]
    target = _target(working_folder, change)
    with pytest.raises(PluginError) as caught:
        getattr(target, part)(*[None] * (5 if part == "observe" else 2 if part == "render" else 3))
    assert caught.value.message.startswith(f"the plugin '{target.name}' (./plugins/targets/{target.name}.py)")
    assert fault in caught.value.message


def test_errors_of_pizzeria_and_interrupts_pass_through(working_folder: Path) -> None:
    refuses = "def render(release, options): raise DeploymentError('no room', hint='ask')"
    with pytest.raises(DeploymentError, match="no room") as caught:
        _target(working_folder, refuses).render(None, None)
    assert caught.value.hint == "ask"
    with pytest.raises(KeyboardInterrupt):
        _target(working_folder, "def render(release, options): raise KeyboardInterrupt").render(None, None)


def test_a_status_that_hangs_is_given_up(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plugin_guard._LIMITS_S, ("targets", "status"), 0.2)
    target = _target(working_folder, "def status(name, options, state): time.sleep(60)")
    with pytest.raises(PluginError, match=r"did not come back from status after 0\.2 s"):
        target.status("rooms", None, working_folder)


def test_a_limit_leaves_another_alarm_alone() -> None:
    rang: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    theirs = signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with plugin_guard.within(60):
            pass
        deadline = time.monotonic() + 60
        while not rang and time.monotonic() < deadline:
            time.sleep(0.01)
        assert rang
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *theirs)


def test_a_guarded_plugin_shows_what_it_has(working_folder: Path) -> None:
    plain, canary = _target(working_folder, ""), _target(working_folder, "def stage(*a): pass\nSCHEDULES = True")
    assert not hasattr(plain, "stage")
    assert getattr(plain, "SCHEDULES", False) is False
    assert hasattr(canary, "stage")
    assert canary.SCHEDULES is True
    assert canary.Options is canary.plugin.Options
    assert registry.module_of(canary) is canary.plugin
    assert canary == registry.load("targets", canary.name)
    assert plain.render(None, None) == Rendered(commands=[["true"]])
    assert plain.apply(None, None, None) == DeploymentStatus("live", "http://127.0.0.1:1", "ab")
    with pytest.raises(
        (TypeError, AttributeError, pickle.PicklingError)
    ):  # a module cannot be pickled; no endless loop
        pickle.dumps(canary)


def test_a_server_plugin_is_guarded_inside_a_release(working_folder: Path) -> None:
    _plugin(
        working_folder,
        "servers",
        "odd",
        "from pizzeria.spec.section import Options\ndef render(release, host, port): return 'run it'",
    )
    release = Release("a", working_folder, "", None, registry.load("servers", "odd"), working_folder, working_folder)
    with pytest.raises(PluginError, match=r"the plugin 'odd' .*: render returned str instead of Rendered"):
        release.server.render(release, "127.0.0.1", 3000)


@pytest.mark.parametrize("flags", [[], ["-v"]], ids=["without", "verbose"])
def test_a_traceback_is_shown_when_it_is_asked_for(working_folder: Path, flags: list[str]) -> None:
    _plugin(working_folder, "alerts", "bomb", "def oven():\n    raise ValueError('no oven')\noven()\n")
    done = subprocess.run(
        [sys.executable, "-m", "pizzeria.cli", *flags, "plugins", "test", "alerts", "bomb"],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PIZZERIA_DEBUG"},
    )
    assert done.returncode == PluginError.exit_code, done.stderr
    assert "ValueError: no oven" in done.stderr
    assert ("in oven" in done.stderr) == bool(flags)
