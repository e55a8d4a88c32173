"""The structure of what a target renders, so that a hostile option value can be seen to have changed nothing else."""

from __future__ import annotations

import configparser
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel

from pizzeria.contracts import Rendered

HOSTILE = (
    *("two\nlines", "a\r\nSet-Cookie: b", 'quo"te', "apo'strophe", "back\\slash", "`id`", "$(id)", "${HOME}", "a; id"),
    *(
        "a && id",
        "a | id",
        "{{ x }}",
        "{% x %}",
        "%(x)s",
        "%n",
        "# no",
        "a: b",
        "- a",
        "*a",
        "&a",
        "!!int 7",
        "[a",
        "{a",
    ),
    *("nul\0", "tab\t", "\x1b[31m", "\u2028", "Küche", "台所", "\U0001f3a9", "\u202e", "\x7f"),
    *("..", "../../etc/passwd", "/etc/passwd", "~", "-rf", "--help", " ", " a ", "", "a" * 5000),
    *(
        "no",
        "null",
        "~",
        "012",
        "1e3",
        "0x10",
        "2024-05-31",
        "<b>",
        "</script>",
        "%00",
        "a,b",
        "a=b",
        "@file",
        "\ufeff",
    ),
)
"""Values that have broken templates, shells, YAML, ini files and terminals."""

_PLAIN = (
    "abc",
    "a",
    "example",
    "example.org",
    "10.0.0.1",
    "a/b",
    "/srv/a",
    "1h",
    "1Gi",
    "A",
    "abc:1",
    "https://a.example",
)
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "fish", "cmd", "cmd.exe", "powershell", "pwsh"}
_MASK = "\0value"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Parse = Callable[[str, str], Any]
"""File name and text to plain data."""


def parse(name: str, text: str) -> Any:
    """JSON, YAML, TOML and ini by their names; of everything else, the number of lines.

    Raises:
        ValueError: the text is not what its name says.

    Example:
        >>> parse("a.yaml", "a: [1, x]"), parse("run.txt", "a\\nb\\n")
        ([{'a': [1, 'x']}], {'lines': 2})
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".json":
        return json.loads(text)
    if suffix in (".yaml", ".yml"):
        try:
            return list(yaml.load_all(text, _LOADER))
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix in (".ini", ".cfg"):
        reader = configparser.ConfigParser(interpolation=None)
        try:
            reader.read_string(text)
        except configparser.Error as error:
            raise ValueError(str(error)) from error
        return {section: dict(reader[section]) for section in reader.sections()}
    return {"lines": text.count("\n")}


def reading_once(reader: Parse) -> Parse:
    """The same, which reads a text again only when it is another one: most files stay as they are."""
    known: dict[tuple[str, str], Any] = {}

    def read(name: str, text: str) -> Any:
        if (name, text) not in known:
            known[name, text] = reader(name, text)
        return known[name, text]

    return read


def rendered_faults(rendered: Rendered, reader: Parse) -> list[str]:
    """Whether names, texts, commands and variables are safe, and each text is what its name says."""
    return [*_file_faults(rendered.files, reader), *_command_faults(rendered), *_variable_faults(rendered.environment)]


def _file_faults(files: Mapping[str, str], reader: Parse) -> Iterator[str]:
    for name, text in files.items():
        path = PurePosixPath(name)
        if not name or path.is_absolute() or {"..", "."} & set(name.split("/")) or str(path) != name:
            yield f"the file {name!r} has no plain relative path"
        if any(ord(char) < 32 or char in '\\:*?"<>|\x7f' for char in name):
            yield f"the file {name!r} has a name that is no good everywhere"
        if "\0" in text:
            yield f"the file {name!r} holds a NUL byte"
        try:
            text.encode()
            reader(name, text)
        except ValueError as error:
            yield f"the file {name!r} cannot be read back: {str(error)[:300]}"
    lower = [name.lower() for name in files]
    if len(set(lower)) != len(lower):
        yield "two files have one name where upper case is lower case"


def _command_faults(rendered: Rendered) -> Iterator[str]:
    for command in rendered.commands:
        if not command or not command[0]:
            yield f"the command {list(command)!r} names no program"
            continue
        if any("\0" in part for part in command):
            yield f"the command {list(command)!r:.200} holds a NUL byte"
        if os.path.basename(command[0]) in _SHELLS and any(re.fullmatch(r"-\w*c|/[cC]", part) for part in command[1:]):  # noqa: PTH119
            yield f"the command {list(command)!r:.200} is a text for a shell; write the program and its arguments"


def _variable_faults(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            yield f"{name!r} is no name of an environment variable"
        if "\0" in value:
            yield f"the variable {name} holds a NUL byte"


def shape(rendered: Rendered, value: str, reader: Parse) -> Any:
    """What is left of it when all values are taken away: names, keys, kinds, lengths of lists and of commands.

    Args:
        value: The option's value, which may be a key or part of a file's name.
    """
    return {
        "files": {_masked(name, value): _shape(reader(name, text), value) for name, text in rendered.files.items()},
        "commands": [len(command) for command in rendered.commands],
        "environment": sorted(_masked(name, value) for name in rendered.environment),
    }


def _shape(data: Any, value: str) -> Any:
    if isinstance(data, Mapping):
        pairs = [(_masked(str(key), value), _shape(item, value)) for key, item in data.items()]
        return dict(sorted(pairs, key=lambda pair: pair[0])) if set(data) != {"lines"} else dict(data)
    if isinstance(data, list | tuple):
        return [_shape(item, value) for item in data]
    return type(data).__name__


def _masked(text: str, value: str) -> str:
    """Without the value, but for where it is only part of a word, as `no` is of `.gcloudignore`."""
    return re.sub(rf"(?<![A-Za-z]){re.escape(value)}(?![A-Za-z])", lambda _: _MASK, text) if value else text


def text_places(model: type[BaseModel]) -> Iterator[tuple[str, Callable[[str], Any]]]:
    """Each place of an Options where a user writes text: what to call it, and how a text becomes the field's value."""
    for name, info in model.model_fields.items():
        for label, wrap in _places(info.annotation):
            key = info.alias or name
            yield f"{key}{label}", partial(_keyed, key, wrap)


def _places(annotation: Any) -> Iterator[tuple[str, Callable[[str], Any]]]:
    annotation = _bare(annotation)
    if annotation in (str, Path):
        yield "", lambda text: text
        return
    origin, arguments = get_origin(annotation), tuple(map(_bare, get_args(annotation)))
    if origin in (list, tuple) and arguments:
        for label, wrap in _places(arguments[0]):
            yield f"[]{label}", partial(_listed, wrap)
    elif origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if arguments[0] is str:
            yield " (key)", lambda text: {text: "x"}
        if arguments[1] is str:
            yield " (value)", lambda text: {"NAME": text}
    elif arguments and origin is not None and "Literal" not in str(origin):
        for one in arguments:
            yield from _places(one)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for inner, wrap in text_places(annotation):
            yield f".{inner}", wrap


def _bare(annotation: Any) -> Any:
    """Without what `Annotated` adds."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _keyed(key: str, wrap: Callable[[str], Any], text: str) -> dict[str, Any]:
    return {key: wrap(text)}


def _listed(wrap: Callable[[str], Any], text: str) -> list[Any]:
    return [wrap(text)]


def plain_values() -> tuple[str, ...]:
    """Values that a well-meaning user might write; the first that an option takes is what hostile ones are held to."""
    return _PLAIN
