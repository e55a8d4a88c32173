"""Encodings, characters that are not seen, broken YAML, and names that stand twice."""

from __future__ import annotations

import random

from pizzeria.torture.hostile_specs import SLOTS, Hostile, added, said


def encoding(chance: random.Random, good: str) -> Hostile:
    name = chance.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
    text = good.replace("To be broken", "Gebäck")
    return Hostile("encoding", name, text.encode(name))


def broken_bytes(chance: random.Random, good: str) -> Hostile:
    data = bytearray(good.encode())
    wrong = chance.choice(
        [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x00", b"\x1b[2J", b"\x07"]
    )
    at = chance.randrange(len(data))
    data[at:at] = wrong
    return Hostile("bytes", f"{wrong.hex()} at {at}", bytes(data))


def unseen(chance: random.Random, good: str) -> Hostile:
    sign = chance.choice(
        ["\\0", "\\x1b[31m", "\\a", "\\b", "\\r", "\\e", "\\N", "\\x7f", "\\u202e", "\\u2066", "\\u202a"]
    )
    text = f'"pay{sign}load"'
    if chance.random() < 0.3:
        content, line = added(good, f"{text}: 1\n")
    else:
        content, line = said(good, chance.choice(SLOTS), text)
    return Hostile("unseen character", text, content, line=line)


def surrogate(chance: random.Random, good: str) -> Hostile:
    content, line = said(good, chance.choice(SLOTS), chance.choice(['"\\ud800"', '"\\udfff\\ud800"', '"\\U00110000"']))
    return Hostile("unseen character", "a lone surrogate", content, line=line)


def turned(chance: random.Random, good: str) -> Hostile:
    sign = chance.choice("\u202e\u2066\u202b\u2069")
    content, line = said(good, chance.choice(SLOTS), f"accept {sign} refuse")
    return Hostile("text turned round", f"U+{ord(sign):04X}", content, line=line)


def twice(chance: random.Random, good: str) -> Hostile:
    yaml = chance.choice(
        ["name: other\n", "model: {hidden: 1}\n", "'name': other\n", '"name": other\n', "? name\n: other\n"]
    )
    content, line = added(good, yaml)
    return Hostile("duplicate key", yaml.strip(), content, line=line)


def merged(chance: random.Random, good: str) -> Hostile:
    yaml = chance.choice(["<<: {name: other}\n", "extra: &e {a: 1}\nmore: {<<: *e}\n", "<<: [{a: 1}, {b: 2}]\n"])
    content, _ = added(good, yaml)
    return Hostile("merge key", yaml.strip(), content)


def key(chance: random.Random, good: str) -> Hostile:
    yaml = chance.choice(
        ["~: 1", "true: 1", "1.5: 1", ".inf: 1", "no: 1", "012: 1", "1:30: 1", "? [a, b]\n: 1", "? {a: 1}\n: 1",
        "=: 1",
         "'': 1", "' ': 1", "'a.b': 1", "'../x': 1", "__class__: 1", "'${problem.owner}': 1", "? |\n  a\n  b\n: 1",
         "0x1F: 1",
         "!!python/name:os.system x: 1", "null: 1", "'a\tb': 1", "\u00a0: 1"]
    )  # fmt: skip
    content, line = added(good, yaml + "\n")
    return Hostile("key", yaml, content, line=line)


def broken(chance: random.Random, good: str) -> Hostile:
    yaml = chance.choice(
        ["a: [", "a: {", "a: 'b", 'a: "b', "\ta: 1", "a: b: c", "- a", "a: *nothing", "&a", "a: &b &c d",
        "%YAML 9.9\n---\na: 1",
         "---\na: 1", "...\na: 1", "a: |9\n x", "a: @b", "a: `b`", "a: %b", "}", "]", "? ", ": b: c", "a: ]", "!",
         "a: !<"]
    )  # fmt: skip
    return Hostile("broken YAML", yaml, added(good, yaml + "\n")[0])


def cut(chance: random.Random, good: str) -> Hostile:
    lines = good.split("\n")
    end = next(i for i, line in enumerate(lines) if line.startswith("data:"))
    content = "\n".join(lines[: chance.randrange(0, end)]).encode()
    return Hostile("cut off", f"after {len(content)} bytes", content)


def no_mapping(chance: random.Random, good: str) -> Hostile:
    text = chance.choice(
        ["", "~", "[]", "[a, b]", "text", "3", "'x'", "# only a comment", "---", "{}", "\n\n\n", "\ufeff"]
    )
    return Hostile("no spec at all", repr(text), text.encode())


def path(chance: random.Random, good: str) -> Hostile:
    value = chance.choice(
        ['"rows\\0.csv"', '"/etc/passwd\\0.csv"', '"a\\nb"', "[rows.csv, '']", "''", "{a: b}", "3", "~"]
    )
    line = good[: good.index("data: {path")].count("\n") + 1
    content = good.replace("path: rows.csv", f"path: {value}").encode()
    if value == '"a\\nb"':
        content = good.replace("name: tiny", "name: ../../x").encode()
        line = good[: good.index("name: tiny")].count("\n") + 1
    return Hostile("path", value, content, line=line)


FAMILIES = (encoding, broken_bytes, unseen, surrogate, turned, twice, merged, key, broken, cut, no_mapping, path)
