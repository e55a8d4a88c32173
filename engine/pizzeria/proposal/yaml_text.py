"""Writes a spec as people do: sections in their order, one key a line, and beside it why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

import yaml

_INLINE = 100
_WIDTH = 118


def spec_text(
    header: Sequence[str],
    defaults: Mapping[str, str],
    spec: Mapping[str, Any],
    why: Mapping[str, str],
    after: Mapping[str, Sequence[str]],
) -> str:
    """The YAML file.

    Args:
        header: Lines of comment at the top.
        defaults: Config group to choice.
        spec: Everything else.
        why: Comment by dotted path; stands behind its key.
        after: Further lines of comment at the end of a section, by its name.

    Example:
        >>> print(spec_text(["Found: photos."], {"data": "coco"}, {"name": "x"}, {"name": "of the folder"}, {}), end="")
        # Found: photos.
        defaults:
          - override /data: coco
        <BLANKLINE>
        name: x  # of the folder
    """
    lines = [f"# {line}".rstrip() for line in header]
    lines += ["defaults:", *(f"  - override /{group}: {choice}" for group, choice in defaults.items()), ""]
    for name, value in spec.items():
        lines += _lines(name, value, name, "", why)
        lines += [f"  # {line}".rstrip() for line in after.get(name, ())]
    return "\n".join(lines) + "\n"


def _lines(key: str, value: Any, path: str, indent: str, why: Mapping[str, str]) -> Iterator[str]:
    comment = f"  # {why[path]}" if why.get(path) else ""
    flow = _flow(value)
    if isinstance(value, Mapping) and value and (not indent or len(flow) > _INLINE or _told(path, why)):
        yield f"{indent}{_flow(key)}:{comment}"
        for inner, item in value.items():
            yield from _lines(str(inner), item, f"{path}.{inner}", indent + "  ", why)
        return
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield f"{indent}{_flow(key)}:{comment}"
        for i, item in enumerate(value):
            beside = f"  # {why[f'{path}.{i}']}" if f"{path}.{i}" in why else ""
            yield f"{indent}  - {_flow(item)}{beside}"
        return
    line = f"{indent}{_flow(key)}: {flow}"
    if len(line) + len(comment) > _WIDTH and comment:
        yield from wrap(why[path], _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        comment = ""
    yield line + comment


def _told(path: str, why: Mapping[str, str]) -> bool:
    return any(other.startswith(f"{path}.") for other in why)


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
