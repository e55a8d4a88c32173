"""Reads a YAML file before Hydra does: caps its size, depth and expansion, and refuses what YAML 1.1 would change.

A spec is only data. OmegaConf hangs on a 300-byte alias bomb, the last of two equal keys wins silently, `no` becomes
False and `012` becomes 10: all of that is refused here, with file, line and what to write instead. The line of every
key is kept for the messages of later checks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from pizzeria.errors import Fault, SpecError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_NODES = 20_000
_MOST_NESTED = 1000  # brackets within texts count too, so that this is no limit on depth
RESOLVERS = frozenset({"oc.select"})
"""Interpolations that may call something; plain `${training.seed}` is always allowed."""

YamlPath = tuple[str | int, ...]
Lines = dict[YamlPath, int]

_TRAPS = (
    (re.compile(r"(?i:yes|no|on|off)$"), "YAML reads it as true or false", "write true or false, or quote it: '{}'"),
    (
        re.compile(r"[-+]?0[0-9_]+$"),
        "YAML reads it as an octal number",
        "write it without the leading zero, or quote it: '{}'",
    ),
    (re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+$"), "YAML reads it as a base-60 number", "quote it: '{}'"),
)
_CALL = re.compile(r"\$\{\s*([^${}:]*)\s*:")


@dataclass(frozen=True)
class _Reader:
    file: str
    faults: list[Fault]
    lines: Lines

    def fault(self, node: yaml.Node, path: YamlPath, message: str, hint: str = "") -> None:
        self.faults.append(Fault(dotted(path), message, hint, self.file, node.start_mark.line + 1))

    def walk(self, node: yaml.Node, path: YamlPath, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SpecError([_at(self.file, node, path, f"nested more than {MAX_DEPTH} deep", "flatten it")])
        if len(self.lines) > MAX_NODES:
            raise SpecError([_at(self.file, node, path, f"more than {MAX_NODES} values, aliases counted", "split it")])
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, path, depth)
        elif isinstance(node, yaml.SequenceNode):
            for i, item in enumerate(node.value):
                self.walk(item, (*path, i), depth + 1)
        else:
            self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: YamlPath, depth: int) -> None:
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(key, path, "a key must be a plain word", "write `name: value`")
                continue
            name = str(key.value)
            line = key.start_mark.line + 1
            if name in seen:
                self.fault(
                    key, (*path, name), f"the key stands twice, first on line {seen[name]}", "remove one of them"
                )
            seen[name] = line
            if name in ("_target_", "_partial_", "_recursive_", "_convert_", "_args_"):
                self.fault(
                    key, (*path, name), "a spec is data and cannot name code to run", "name a plugin with `use:`"
                )
            elif name == "hydra" and not path:
                self.fault(key, (name,), "a spec cannot configure Hydra itself", "remove it")
            elif name == "<<":
                self.fault(key, path, "merge keys are not supported", "repeat the keys, or use a config group")
            if not key.style:
                self._traps(key, (*path, name), "the key")
            self.walk(value, (*path, name), depth + 1)
            self.lines[(*path, name)] = line

    def _scalar(self, node: yaml.Node, path: YamlPath) -> None:
        text = str(node.value)
        if isinstance(node, yaml.ScalarNode) and not node.style:
            self._traps(node, path, "the value")
        for resolver in foreign_resolvers(text):
            hint = f"only {', '.join(sorted(RESOLVERS))} may be used; pass such values on the command line"
            self.fault(node, path, f"the resolver {resolver!r} is not allowed in a spec", hint)

    def _traps(self, node: yaml.ScalarNode, path: YamlPath, what: str) -> None:
        for pattern, message, hint in _TRAPS:
            if pattern.match(str(node.value)):
                self.fault(node, path, f"{what} is {node.value}: {message}", hint.format(node.value))


def foreign_resolvers(text: str) -> list[str]:
    """Names of the resolvers that an interpolation would call and a spec may not.

    Example:
        >>> foreign_resolvers("${oc.env:HOME}/${training.seed}")
        ['oc.env']
    """
    return [name.strip() for name in _CALL.findall(text) if name.strip() not in RESOLVERS]


def read_lines(path: Path) -> Lines:
    """Check one YAML file, and return the 1-based line of each of its YAML paths.

    Raises:
        SpecError: it is not YAML, is too large, too deep or expands too far, or holds what a spec must not.
    """
    file = display(path)
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise SpecError([Fault("", f"{len(data):,} bytes; a spec has at most {MAX_BYTES:,}", "", file)])
    try:
        text = data.decode("utf-8")
        if nesting(text) > _MOST_NESTED:
            raise RecursionError
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
    reader = _Reader(file, [], {})
    if node is not None:
        if not isinstance(node, yaml.MappingNode):
            raise SpecError([_at(file, node, (), "a spec is a mapping of sections", "write `problem:` and so on")])
        reader.walk(node, (), 0)
    if reader.faults:
        raise SpecError(reader.faults)
    return reader.lines


def nesting(text: str) -> int:
    """How deep a YAML text may nest, at most: PyYAML's reader in C has no limit of its own, and would crash.

    Example:
        >>> nesting("names: [bed, [tv]]"), nesting("- - - bed")
        (2, 3)
    """
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth = max(0, depth - 1)
    dashes = max((len(run) // 2 for run in re.findall(r"(?:[-?:][ \t]+)+", text)), default=0)
    return max(deepest, dashes)


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
    return Fault(dotted(path), message, hint, file, node.start_mark.line + 1)
