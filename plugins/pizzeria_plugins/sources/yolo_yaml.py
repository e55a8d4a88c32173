"""Reads a YOLO `data.yaml`: class names and where the photos of each split lie.

Its scalars are taken as they stand, so that a class called `no` stays one, and no alias is expanded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pizzeria.errors import DataError
from pizzeria.spec.reading import nesting
from pizzeria_plugins.sources.plain_numbers import number
from pizzeria_plugins.sources.text_file import read_text

_MOST = 4_000_000
_MOST_DEPTH = 40


class Entry(NamedTuple):
    """A path in the file, and the line where it stands."""

    text: str
    line: int


class YoloYaml(NamedTuple):
    """What the file says.

    Attributes:
        names: Classes by their number; empty where it names none.
        base: `path`, or None.
        splits: Folders or lists of each split that has any: train, validation, test.
        keypoints: Whether it is of poses, whose lines go on after the box.
    """

    names: dict[int, str]
    base: Entry | None
    splits: dict[str, tuple[Entry, ...]]
    keypoints: bool


def read_yolo_yaml(path: Path) -> YoloYaml:
    """Read and check the file.

    Raises:
        DataError: with the file and the line that is wrong.
    """
    import yaml

    text, _ = read_text(path)
    if len(text) > _MOST:
        raise DataError(f"{path} has {len(text):,} characters, too many for a list of classes and folders")
    if nesting(text) > _MOST_DEPTH:
        raise DataError(f"{path} is nested too deeply to be a data.yaml", hint="it has names, train and val")
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(f"{path}:{line}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(root, yaml.MappingNode):
        raise DataError(f"{path} is not a data.yaml", hint="it has names, train and val")
    found: dict[str, Any] = {}
    for key, value in root.value:
        name = str(key.value)
        if name in found:
            raise DataError(f"{path}:{key.start_mark.line + 1}: {name} stands twice")
        found[name] = value
    splits = {}
    for name, split in (("train", "train"), ("val", "validation"), ("valid", "validation"), ("test", "test")):
        entries = _entries(path, name, found[name]) if name in found else ()
        if entries:
            splits[split] = entries
    base = _entries(path, "path", found["path"]) if "path" in found else ()
    if len(base) > 1:
        raise DataError(f"{path}:{base[1].line}: path is a list; it is one folder")
    names = _names(path, found["names"]) if "names" in found else {}
    if "nc" in found:
        text, line = _scalar(path, "nc", found["nc"])
        count = number(text)
        if count is None:
            raise DataError(f"{path}:{line}: nc is {text!r}, not a number of classes")
        if names and count != len(names):
            raise DataError(f"{path}:{line}: nc is {text}, but {len(names)} classes are named")
    return YoloYaml(names, base[0] if base else None, splits, "kpt_shape" in found)


def _scalar(path: Path, name: str, node: Any) -> Entry:
    import yaml

    line = node.start_mark.line + 1
    if not isinstance(node, yaml.ScalarNode):
        raise DataError(f"{path}:{line}: {name} holds a list or mapping where one word should stand")
    return Entry(str(node.value).strip(), line)


def _entries(path: Path, name: str, node: Any) -> tuple[Entry, ...]:
    import yaml

    many = node.value if isinstance(node, yaml.SequenceNode) else [node]
    entries = [_scalar(path, name, one) for one in many]
    return tuple(entry for entry in entries if entry.text not in ("", "null", "~", "None"))


def _names(path: Path, node: Any) -> dict[int, str]:
    import yaml

    out: dict[int, str] = {}
    if isinstance(node, yaml.MappingNode):
        pairs = [(_scalar(path, "names", key), _scalar(path, "names", value)) for key, value in node.value]
    else:
        many = node.value if isinstance(node, yaml.SequenceNode) else [node]
        pairs = [(Entry(str(i), one.start_mark.line + 1), _scalar(path, "names", one)) for i, one in enumerate(many)]
    for key, name in pairs:
        value = number(key.text)
        if value is None or value < 0 or not value.is_integer():
            raise DataError(f"{path}:{key.line}: names: {key.text!r} is no class number", hint="write `0: bed`")
        if not name.text:
            raise DataError(f"{path}:{name.line}: names: class {key.text} has no name")
        if int(value) in out or name.text in out.values():
            raise DataError(f"{path}:{name.line}: names: {key.text}: {name.text} stands twice")
        out[int(value)] = name.text
    return out
