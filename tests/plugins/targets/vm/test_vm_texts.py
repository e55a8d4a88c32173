"""What the target `vm` writes, read back: no value that the options accept becomes anything but itself."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pizzeria.conformance.tiny_bundles import OLDER
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.spec.stages import Serving
from pizzeria_plugins.targets import vm, vm_session
from pizzeria_plugins.targets.vm_agent import MODULES
from pizzeria_plugins.targets.vm_agent.front import fill
from pizzeria_plugins.targets.vm_request import service, slots
from pizzeria_plugins.targets.vm_texts.nginx import front_template
from pizzeria_plugins.targets.vm_texts.units import command_line
from pizzeria_plugins.targets.vm_texts.variables import start_script, variables_file

HOSTILE = st.one_of(
    st.sampled_from(
        [
            "",
            "a b",
            'a"; rm -rf /; "',
            "a;b",
            "$(id)",
            "`id`",
            "%n%i",
            "a\nExecStart=/bin/sh",
            "a'b",
            "a\\",
            "{}",
            "}",
            "#",
            "-oProxyCommand=id",
            "../../etc",
            "/etc/../etc",
            "a\x00b",
            "é",
            "/a b",
            "/a;b",
            "/a/%h",
        ]
    ),
    st.text(max_size=30),
    st.from_regex(r"/[a-z/._@+-]{0,20}", fullmatch=True),
)
FREE = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60) | st.sampled_from(
    ['"', "\\", "$HOME", "`id`", "'", "a\\", '\\"', "#x", " x ", "%h", "é", ";"]
)
FIELDS = sorted(set(vm.Options.model_fields) - {"environment", "maintain_command", "slot_ports"})


@st.composite
def options(draw: st.DrawFn) -> vm.Options | None:
    """Options with hostile values in one or two places; None where they are refused."""
    values: dict[str, Any] = {"host": "vm.example.com"}
    for name in draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=2, unique=True)):
        values[name] = draw(HOSTILE)
    variables = draw(st.dictionaries(st.sampled_from(["TZ", "A_B", "x"]) | st.text(max_size=6), FREE, max_size=3))
    try:
        return vm.Options(**values, environment=variables)
    except ValidationError:
        return None


@given(options())
@settings(max_examples=150)
def test_whatever_is_accepted_is_safe_everywhere(release_of: Callable[..., Release], found: vm.Options | None) -> None:
    if found is None:
        return
    release = release_of(OLDER, "rooms")
    texts = slots(release, found, "c" * 64, "e" * 64)["a"]
    rendered = service(release, found, "c" * 64, "e" * 64, "a", found.slot_ports[0])
    [unit] = texts["systemd"].values()
    sections = unit_of(unit)
    assert set(sections) == {"Unit", "Service", "Install"}
    [start] = [value for key, value in sections["Service"] if key == "ExecStart"]
    assert words_of(start) == list(rendered.commands[0])
    keys = [key for key, _ in sections["Service"]]
    assert len([key for key in keys if key not in ("EnvironmentFile", "SystemCallFilter")]) == len(
        {key for key in keys if key not in ("EnvironmentFile", "SystemCallFilter")}
    )
    [program] = texts["supervisord"].values()
    ini = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=True)
    ini.read_string(program)
    assert ini.sections() == ["program:pizzeria-rooms-a"]
    assert ini["program:pizzeria-rooms-a"]["command"] == f"/bin/sh {found.root}/deployments/rooms/slot-a.sh"
    variables = variables_of(texts["files"]["slot-a.env"])
    assert variables == {
        "HOME": f"{found.root}/state/rooms/slot-a",
        **found.environment,
        **rendered.environment,
    }
    tree = nginx_of(fill(front_template("rooms", release.serving, found), [(found.slot_ports[0], 1)]))
    assert [directive[0] for directive in tree] == ["upstream", "log_format", "server"]
    inside = [directive[0] for directive in tree[2][-1]]
    assert inside.count("location") == 4
    assert inside.count("listen") == inside.count("server_name") == 1
    argv = vm_session.command(found)
    assert argv[0] == "ssh"
    assert argv[-3:-1] == ["--", found.host]
    assert not found.host.startswith("-")
    assert "\n" not in "".join(argv)


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), FREE, max_size=5))
def test_variables_are_read_as_systemd_reads_them(variables: dict[str, str]) -> None:
    assert variables_of(variables_file(variables)) == variables


@given(st.lists(FREE, min_size=1, max_size=8), st.lists(FREE.filter(lambda word: "\x00" not in word), max_size=4))
@settings(max_examples=25)
def test_a_shell_reads_the_same(tmp_path: Path, values: list[str], words: list[str]) -> None:
    variables = {f"V{number}": value for number, value in enumerate(values)}
    folder = tmp_path / "a 'folder' $x"
    folder.mkdir(exist_ok=True)
    (folder / "env").write_text(variables_file(variables))
    print_all = "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:], os.getcwd()]))"
    script = start_script(str(folder), [str(folder / "env")], [sys.executable, "-c", print_all, *words])
    (folder / "start.sh").write_text(script)
    said = subprocess.run(
        ["/bin/sh", folder / "start.sh"], capture_output=True, check=True, env={"PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
    )
    environment, argv, where = json.loads(said.stdout)
    assert {name: environment[name] for name in variables} == variables
    assert argv == words
    assert where == str(folder)


@given(st.lists(FREE, min_size=1, max_size=6))
def test_a_command_is_read_as_systemd_reads_it(words: list[str]) -> None:
    line = command_line(words)
    assert words_of(line) == words
    assert "\n" not in line


def test_a_secret_with_a_line_break_is_refused_without_being_shown() -> None:
    with pytest.raises(DeploymentError, match="the value of KEYS has a line break") as caught:
        variables_file({"KEYS": "secret\nmore"})
    assert "secret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("host", "-oProxyCommand=id", "is no host; write vm.example.com"),
        ("host", "a b", "is no host"),
        ("root", "/opt/a b", "write an absolute one of letters"),
        ("root", "opt", "write an absolute one of letters"),
        ("root", "/opt/../etc", "write an absolute one of letters"),
        ("user", "a;b", "is no user's name"),
        ("server_name", "a;b", "is no host name"),
        ("listen", "localhost", "is no IP address; write 0.0.0.0"),
        ("address", "https://x/y", "without a path"),
        ("environment", {"A B": "x"}, "is no name of a variable"),
        ("environment", {"PIZZERIA_SERVICE": "x"}, "is set by Pizzeria itself"),
        ("environment", {"TZ": "a\nb"}, "write it on one line"),
        ("slot_ports", (8101, 8101), "must be three ports"),
        ("tls_key", "/etc/key.pem", "go together"),
        ("maintain_command", (), "is no command"),
        ("maintain_command", ("pizzeria",), "write an absolute one"),
    ],
)
def test_hostile_options_are_refused_with_what_to_write(field: str, value: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        vm.Options(**({"host": "vm"} | {field: value}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"listen": "::", "listen_port": 8080, "server_name": "rooms.example.com"},
        {"tls_certificate": "@/cert.pem", "tls_key": "@/key.pem", "listen_port": 8443, "listen": "127.0.0.1"},
    ],
)
def test_nginx_itself_takes_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed: its configuration is not tested")
    given_ = {key: str(value).replace("@", str(tmp_path)) for key, value in changes.items()}
    if "tls_key" in changes:
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=rooms"]
        subprocess.run(
            ["openssl", "req", "-x509", *kind, "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
            check=True,
            capture_output=True,
        )
    how = vm.Options(host="vm", **given_)
    template = front_template("rooms", Serving(max_body_mb=0.5, timeout_s=2.5), how)
    for shares, log in (([(8101, 1)], ""), ([(8101, 95), (8102, 5)], str(tmp_path / "canary.log"))):
        (tmp_path / "one.conf").write_text(fill(template, shares, log))
        (tmp_path / "nginx.conf").write_text(
            f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\n"
            f"http {{ client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; include {tmp_path}/one.conf;\n"
            f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s; }}\n"
        )
        said = subprocess.run(
            [nginx, "-t", "-q", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], capture_output=True, text=True
        )
        assert said.returncode == 0, said.stderr
        assert "emerg" not in said.stderr


def test_the_agent_stands_alone() -> None:
    folder = Path(vm_session.__file__).parent / "vm_agent"
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", *MODULES}
    for path in folder.glob("*.py"):
        for module in re.findall(r"^\s*(?:from|import) (\S+)", path.read_text(), re.MULTILINE):
            assert module.startswith(".") or module.split(".")[0] in sys.stdlib_module_names, f"{path}: {module}"


def unit_of(text: str) -> dict[str, list[tuple[str, str]]]:
    """A unit as systemd reads it: no line is anything but a comment, a section or a setting."""
    sections: dict[str, list[tuple[str, str]]] = {}
    here = ""
    for line in text.split("\n"):
        assert not line.endswith("\\")
        if not line or line.startswith("#"):
            continue
        if match := re.fullmatch(r"\[(\w+)\]", line):
            here = match[1]
            sections[here] = []
            continue
        key, separator, value = line.partition("=")
        assert separator
        assert key.isalnum()
        sections[here].append((key, value))
    return sections


def words_of(line: str) -> list[str]:
    """A command line as systemd reads it; every word is in double quotes."""
    words, at = [], 0
    while at < len(line):
        assert line[at] == '"'
        word, at = "", at + 1
        while line[at] != '"':
            step = 2 if line[at] in "\\%$" else 1
            if step == 2:
                wanted = '\\"' if line[at] == "\\" else line[at]
                assert line[at + 1] in wanted
            word += line[at + step - 1]
            at += step
        words.append(word)
        assert line[at + 1 : at + 2] in ("", " ")
        at += 2
    return words


def variables_of(text: str) -> dict[str, str]:
    """A file of variables as systemd reads it; every value is in double quotes."""
    found = {}
    for line in text.split("\n")[:-1]:
        match = re.fullmatch(r'([A-Za-z_]\w*)="((?:[^"\\$`]|\\["\\$`])*)"', line, re.DOTALL | re.ASCII)
        assert match, line
        found[match[1]] = re.sub(r"\\(.)", r"\1", match[2])
    return found


def nginx_of(text: str) -> list[list[Any]]:
    """nginx's configuration as directives of words, each of which may end in a list of directives."""
    tokens = nginx_tokens(text)

    def block(inner: bool) -> list[list[Any]]:
        found: list[list[Any]] = []
        words: list[Any] = []
        for token in tokens:
            if token == "}":
                assert inner
                assert not words
                return found
            if token == "{":
                words.append(block(True))
            if token in "{;":
                assert words
                found.append(words)
                words = []
            else:
                words.append(token)
        assert not inner
        assert not words
        return found

    return block(False)


def nginx_tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        char = text[at]
        if char in string.whitespace:
            at += 1
        elif char == "#":
            at = text.index("\n", at)
        elif char in "{};":
            yield char
            at += 1
        elif char in "'\"":
            end = at + 1
            while text[end] != char:
                end += 2 if text[end] == "\\" else 1
            yield "=" + text[at + 1 : end]
            at = end + 1
            assert text[at] in string.whitespace + ";{"
        else:
            match = re.compile(r"[^\s;{}'\"\\]+").match(text, at)
            assert match, text[at : at + 20]
            yield match[0]
            at = match.end()
