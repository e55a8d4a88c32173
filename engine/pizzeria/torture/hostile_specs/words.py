"""Words that YAML 1.1 reads as something else: refused where they stand alone, and kept as they are in quotes."""

from __future__ import annotations

import random

from pizzeria.torture.hostile_specs import SLOTS, Hostile, said

_WORDS = (
    "no", "No", "NO", "yes", "Yes", "on", "off", "Off", "012", "0777", "-010", "0_7", "1:30", "12:34:56",
    "190:20:30.15",
    "0x1F", "0b101", "1_000", "1_0.5", ".inf", "-.inf", ".nan", "Null", "NULL", "=", "1e999",
)  # fmt: skip
_OTHERS = ("~", "null", "true", "False", "3", "3.5", "1e3", "-0", "[a]", "{a: b}", "")
"""Not a text, though nothing is hidden in them: the section that takes a text refuses them."""
_TEXTS = (
    "y", "n", "2024-01-01", "1.2.3", "0o17", "1__", "10.0.0.1", "é", "שלום", "日本", "a: b", "- a", "# a", "!x", "&a",
    "*a",
    "{}", "[]", "%", "@", "a\\nb", "os.system", "../../etc/passwd", "file:///etc/passwd", "$(id)", "`id`", "$HOME",
    "{{ 7*7 }}",
    "<script>", "'; DROP TABLE x", "%s%n", "~user", "-", "--help", "\u200f", "🍕",
)  # fmt: skip
_BARE_TEXTS = (
    "y", "n", "2024-01-01", "1.2.3", "0o17", "10.0.0.1", "é", "שלום", "日本", "os.system", "../../etc/passwd", "$HOME",
    "🍕", "a\u00a0b", "--help", "~user",
)  # fmt: skip


def bare(chance: random.Random, good: str) -> Hostile:
    word = chance.choice(_WORDS)
    content, line = said(good, chance.choice(SLOTS), word)
    return Hostile("typing", f"{word} bare", content, line=line)


def other(chance: random.Random, good: str) -> Hostile:
    word = chance.choice(_OTHERS)
    content, line = said(good, "need", word)
    return Hostile("typing", f"{word} for a text", content, line=line)


def listed(chance: random.Random, good: str) -> Hostile:
    word = chance.choice(_WORDS)
    line = good[: good.index("  classes:")].count("\n") + 1
    content = good.replace('["no", "yes"]', f"[{word}, other]").encode()
    return Hostile("typing", f"a class {word} bare", content, line=line)


def quoted(chance: random.Random, good: str) -> Hostile:
    word, slot = chance.choice(_WORDS + _OTHERS[:-1] + _TEXTS), chance.choice(SLOTS)
    quote = chance.choice("'\"")
    text = word.replace("'", "''") if quote == "'" else word.replace('"', '\\"')
    content, _ = said(good, slot, f"{quote}{text}{quote}")
    out = word.replace("\\n", "\n") if quote == '"' else word
    return Hostile("quoted", f"{quote}{word}{quote}", content, typed={f"problem.{slot}": out})


def plain(chance: random.Random, good: str) -> Hostile:
    word, slot = chance.choice(_BARE_TEXTS), chance.choice(SLOTS)
    content, _ = said(good, slot, word)
    return Hostile("plain", word, content, typed={f"problem.{slot}": word})


def number(chance: random.Random, good: str) -> Hostile:
    word, value = chance.choice([("1e1", 10.0), ("10", 10), ("+12", 12), ("12.0", 12.0), ("1.2e+1", 12.0)])
    content = good.replace("learning_rate: 1.0e-2", f"learning_rate: {word}").encode()
    return Hostile("number", word, content, typed={"training.learning_rate": value})


FAMILIES = (bare, bare, other, listed, quoted, quoted, plain, number)
