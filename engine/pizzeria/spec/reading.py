"""Reads a YAML file before Hydra does: caps its size, depth and expansion, and refuses what YAML 1.1 would change.

A spec is only data. OmegaConf hangs on a 300-byte alias bomb, the last of two equal keys wins silently, `no` becomes
False and `012` becomes 10: all of that is refused here, with file, line and what to write instead. The line of every
key is kept for the messages of later checks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pizzeria.errors import Fault, SpecError
from pizzeria.spec.lookups import MAX_LOOKUPS, fault_in
from pizzeria.spec.scalars import trap

MAX_BYTES = 500_000
MAX_DEPTH = 20
MAX_NODES = 3_000
"""Values of a spec, as composed."""
MAX_RESOLVED = 2 * MAX_NODES
"""The same of a spec as resolved, which has every default in it, too."""
_MOST_FAULTS = 50
_KEYS = 0.25  # of the values, at most so many have a key: mappings take OmegaConf four times as long as lists
_MARKS = 4  # commas and lines for each value; those in texts and comments count, too
_MOST_NESTED = 1000  # brackets within texts count too, so that this is no limit on depth

CODE = frozenset({"_target_", "_partial_", "_recursive_", "_convert_", "_args_"})
"""Keys by which Hydra would run what they name."""

YamlPath = tuple[str | int, ...]
Lines = dict[YamlPath, int]


@dataclass(frozen=True)
class Read:
    """A YAML file that was checked: its text, and the 1-based line of each of its YAML paths."""

    text: str
    lines: Lines


@dataclass
class _Reader:
    file: str
    faults: list[Fault]
    most: int
    lines: Lines = field(default_factory=dict)
    lookups: int = 0
    keys: int = 0

    def fault(self, node: yaml.Node, path: YamlPath, message: str, hint: str = "") -> None:
        self.faults.append(_at(self.file, node, path, message, hint))
        if len(self.faults) >= _MOST_FAULTS:
            raise SpecError(self.faults)

    def walk(self, node: yaml.Node, path: YamlPath, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SpecError([_at(self.file, node, path, f"nested more than {MAX_DEPTH} deep", "flatten it")])
        if len(self.lines) > self.most:
            raise SpecError(
                [_at(self.file, node, path, f"more than {self.most:,} values, aliases counted", "split it")]
            )
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            self._collection(node, path, "map")
            self._mapping(node, path, depth)
        elif isinstance(node, yaml.SequenceNode):
            self._collection(node, path, "seq")
            for i, item in enumerate(node.value):
                self.walk(item, (*path, i), depth + 1)
        elif isinstance(node, yaml.ScalarNode):
            self._scalar(node, path)

    def _collection(self, node: yaml.CollectionNode, path: YamlPath, name: str) -> None:
        if node.tag != f"tag:yaml.org,2002:{name}":
            self.fault(node, path, "a spec is data and has no tags", "remove what begins with !")

    def _mapping(self, node: yaml.MappingNode, path: YamlPath, depth: int) -> None:
        seen: dict[str, int] = {}
        self.keys += len(node.value)
        if self.keys > _KEYS * self.most:
            message = f"more than {int(_KEYS * self.most):,} keys, aliases counted"
            raise SpecError([*self.faults, _at(self.file, node, path, message, "split it")])
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(key, path, "a key must be a plain word", "write `name: value`")
                continue
            name = str(key.value)
            found = trap(key, key=True)
            if found is not None:
                self.fault(key, (*path, name), f"the key is {shown(name)}: {found[0]}", found[1])
                continue
            line = key.start_mark.line + 1
            if name in seen:
                self.fault(
                    key, (*path, name), f"the key stands twice, first on line {seen[name]}", "remove one of them"
                )
            seen[name] = line
            if name in CODE:
                self.fault(
                    key, (*path, name), "a spec is data and cannot name code to run", "name a plugin with `use:`"
                )
            elif name == "hydra" and not path:
                self.fault(key, (name,), "a spec cannot configure Hydra itself", "remove it")
            elif name == "<<":
                self.fault(key, path, "merge keys are not supported", "repeat the keys, or use a config group")
            self.walk(value, (*path, name), depth + 1)
            self.lines[(*path, name)] = line

    def _scalar(self, node: yaml.ScalarNode, path: YamlPath) -> None:
        text = str(node.value)
        found = trap(node)
        if found is not None:
            self.fault(node, path, f"the value is {shown(text)}: {found[0]}", found[1])
        elif (wrong := fault_in(text)) is not None:
            self.fault(node, path, f"{wrong[0]} in a spec", wrong[1])
        self.lookups += text.count("${")
        if self.lookups > MAX_LOOKUPS:
            self.faults.append(_at(self.file, node, path, f"more than {MAX_LOOKUPS} look-ups", "write values out"))
            raise SpecError(self.faults)


def read_lines(path: Path) -> Lines:
    """As `read` with the default, of which the lines."""
    return read(path).lines


def read(path: Path, most: int = MAX_NODES) -> Read:
    """Check one YAML file, of at most so many values.

    Raises:
        SpecError: it is not YAML, is too large, too deep or expands too far, or holds what a spec must not.
    """
    file = display(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        fault = Fault("", f"it cannot be read: {error.strerror}", "give the path of a YAML spec", file)
        raise SpecError([fault]) from None
    if len(data) > MAX_BYTES:
        hint = "leave data to files that the spec names"
        raise SpecError([Fault("", f"more than {MAX_BYTES:,} bytes, and a spec has no more", hint, file)])
    try:
        text = data.decode("utf-8")
        if nesting(text) > _MOST_NESTED:
            raise RecursionError
        if text.count(",") + text.count("\n") > _MARKS * most:  # the parser alone would take its time
            raise SpecError([Fault("", f"more than {most:,} values, aliases counted", "split it", file)])
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except UnicodeDecodeError as error:
        raise SpecError([Fault("", f"not UTF-8 at byte {error.start}", "save the file as UTF-8", file)]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise SpecError(
            [Fault("", f"not YAML: {error.problem}", "check indentation and quotes there", file, line)]
        ) from None
    except yaml.YAMLError as error:
        raise SpecError([Fault("", f"not YAML: {str(error).splitlines()[0]}", "", file)]) from None
    except RecursionError:
        raise SpecError([Fault("", f"nested more than {MAX_DEPTH} deep", "flatten it", file)]) from None
    reader = _Reader(file, [], most)
    if node is not None:
        if not isinstance(node, yaml.MappingNode):
            raise SpecError([_at(file, node, (), "a spec is a mapping of sections", "write `problem:` and so on")])
        reader.walk(node, (), 0)
    if reader.faults:
        raise SpecError(reader.faults)
    return Read(text, reader.lines)


def nesting(text: str) -> int:
    """How deep a YAML text may nest, at most: PyYAML's reader in C has no limit of its own, and would crash.

    Example:
        >>> nesting("names: [bed, [tv]]"), nesting("- - - bed")
        (2, 3)
    """
    depth = deepest = 0
    for bracket in re.findall(r"[\[{\]}]", text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    dashes = max((len(run) // 2 for run in re.findall(r"(?:[-?:][ \t]+)+", text)), default=0)
    return max(deepest, dashes)


def shown(text: str, most: int = 100) -> str:
    """What was found, for a message: cut where it is longer than `most` characters.

    Example:
        >>> shown("x" * 200)[-10:]
        'x... (200)'
    """
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,})"


def dotted(path: YamlPath) -> str:
    """`("problem", "success", 0)` as `problem.success[0]`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def display(path: Path) -> str:
    """The path as a user would type it: relative to the working folder where it is inside."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _at(file: str, node: yaml.Node, path: YamlPath, message: str, hint: str) -> Fault:
    return Fault(shown(dotted(path)), message, hint, file, node.start_mark.line + 1)
