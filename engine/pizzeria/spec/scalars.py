"""What YAML would make of a plain word behind its writer's back, and texts that are none."""

from __future__ import annotations

import re

import yaml

from pizzeria.errors import UNSEEN

MAX_TEXT = 100_000
"""Characters of one value."""
MAX_KEY = 200
"""Characters of one key."""
_MAX_DIGITS = 40

_UNQUOTED = "quote it: '{}'"
_TRAPS = (
    (re.compile(r"(?i:yes|no|on|off)$"), "YAML reads it as true or false", "write true or false, or quote it: '{}'"),
    (
        re.compile(r"[-+]?0[0-9_]+$"),
        "YAML reads it as an octal number",
        "write it without the leading zero, or quote it: '{}'",
    ),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$"), "YAML reads it as a base-60 number", _UNQUOTED),
    (re.compile(r"[-+]?0[xb][0-9a-fA-F_]+$"), "YAML reads it as another number", f"write its digits, or {_UNQUOTED}"),
    (
        re.compile(r"[-+]?[0-9][0-9.]*_[0-9._]*([eE][-+]?[0-9]+)?$"),
        "YAML reads it as a number without the _",
        f"write the digits alone, or {_UNQUOTED}",
    ),
    (
        re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
        "that is no number to work with",
        f"write a number, or {_UNQUOTED}",
    ),
    (re.compile(r"(Null|NULL)$"), "YAML reads it as nothing", "write null, or quote it: '{}'"),
    (re.compile(r"=$"), "YAML has a meaning of its own for it", _UNQUOTED),
)
_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?$")
_IMPLIED = yaml.resolver.Resolver()
_TYPES = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp"))
_KEYS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "timestamp"))

Trap = tuple[str, str]
"""What is wrong, and what to write instead."""


def trap(node: yaml.ScalarNode, *, key: bool = False) -> Trap | None:
    """Why a value (or a key) would not be what its writer sees; None when it is.

    Example:
        >>> trap(yaml.compose("012"))
        ('YAML reads it as an octal number', "write it without the leading zero, or quote it: '012'")
        >>> trap(yaml.compose("'012'"))
        >>> trap(yaml.compose("!!python/name:os.system"))[0]
        'a spec is data and has no tags'
    """
    text = str(node.value)
    if len(text) > (MAX_KEY if key else MAX_TEXT):
        return f"{len(text):,} characters; there may be {MAX_KEY if key else MAX_TEXT:,}", "write less"
    if node.tag not in _TYPES | {"tag:yaml.org,2002:value", "tag:yaml.org,2002:merge"} or node.tag != _implied(node):
        return "a spec is data and has no tags", "remove what begins with !, and quote texts"
    if (found := hidden(text)) is not None:
        return f"it holds {found}, which is not seen", "remove it"
    if node.style:
        return None
    for pattern, message, hint in _TRAPS:
        if pattern.match(text):
            return message, hint.format(text)
    if _NUMBER.match(text) and (len(text) > _MAX_DIGITS or _endless(text)):
        return "it is too great for a number", "write a smaller one, or quote it"
    if key and node.tag not in _KEYS and text != "<<":
        return "YAML reads it as no text", f"quote it: '{text}'"
    return None


def hidden(text: str) -> str | None:
    """The first character of a text that cannot be seen and changes what can; None when there is none.

    A single one alone is a separator of columns, say; NUL is never a text.

    Example:
        >>> hidden("a\\x1b[31m"), hidden("one\\ntwo"), hidden("\\x01"), hidden("a\\u202eb")
        ('U+001B', None, None, 'U+202E')
    """
    for match in UNSEEN.finditer(text):
        if len(text) > 1 or match.group() == "\0":
            return f"U+{ord(match.group()):04X}"
    return None


def _implied(node: yaml.ScalarNode) -> str:
    """The tag of a scalar that has none of its own."""
    how = not node.style, bool(node.style)
    return str(_IMPLIED.resolve(yaml.ScalarNode, node.value, how))  # type: ignore[no-untyped-call]


def _endless(text: str) -> bool:
    try:
        return float(text) in (float("inf"), float("-inf"))
    except ValueError:  # 1.2.3
        return False
