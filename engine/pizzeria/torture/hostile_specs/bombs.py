"""Small files that become great ones, deep ones, and ones that lead in circles."""

from __future__ import annotations

import random

from pizzeria.torture.hostile_specs import SLOTS, Hostile, added, said


def aliases(chance: random.Random, good: str) -> Hostile:
    wide, deep = chance.randint(6, 12), chance.randint(6, 12)
    lines = [f"a0: &a0 [{', '.join(['x'] * wide)}]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * wide)}]" for i in range(1, deep)]
    return Hostile("alias bomb", f"{deep} anchors of {wide}", added(good, "\n".join(lines) + "\n")[0])


def laughs(chance: random.Random, good: str) -> Hostile:
    wide, deep = chance.randint(6, 12), chance.randint(6, 12)
    lines = [f"a0: &a0 {{{', '.join(f'k{j}: lol' for j in range(wide))}}}"]
    for i in range(1, deep):
        lines.append(f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(wide))}}}")
    return Hostile("billion laughs", f"{deep} mappings of {wide}", added(good, "\n".join(lines) + "\n")[0])


def itself(chance: random.Random, good: str) -> Hostile:
    yaml = chance.choice(["&a [*a]", "&a {b: *a}", "&a [[*a, *a], *a]"])
    content, _ = said(good, chance.choice(SLOTS), yaml)
    return Hostile("recursive anchor", yaml, content)


def deep(chance: random.Random, good: str) -> Hostile:
    count, shape = chance.choice([25, 100, 900, 5_000, 200_000]), chance.choice(["[", "{a: ", "- "])
    yaml = shape * count + {"[": "]", "{a: ": "}", "- ": ""}[shape] * (count if shape != "- " else 0)
    content = added(good, f"deep:\n  {yaml}\n" if shape == "- " else f"deep: {yaml}\n")[0]
    return Hostile("deep nesting", f"{count} times {shape.strip()}", content)


def indented(chance: random.Random, good: str) -> Hostile:
    count = chance.choice([25, 200, 600])
    yaml = "".join(f"{' ' * i}k:\n" for i in range(count))
    return Hostile("deep nesting", f"{count} indented keys", added(good, yaml)[0])


def wide(chance: random.Random, good: str) -> Hostile:
    count, below = chance.choice([200, 2_000, 20_000, 60_000]), chance.choice(["", "problem", "data"])
    if below:
        lines = good.split("\n")
        at = next(i for i, line in enumerate(lines) if line.startswith("  need:"))
        lines[at:at] = [f"  k{i}: 1" for i in range(count)]
        return Hostile("many keys", f"{count} in problem", "\n".join(lines).encode())
    return Hostile("many keys", f"{count} sections", added(good, "".join(f"k{i}: 1\n" for i in range(count)))[0])


def long_list(chance: random.Random, good: str) -> Hostile:
    count = chance.choice([3_000, 20_000, 100_000])
    return Hostile("long list", f"{count} items", added(good, f"more: [{','.join('1' * count)}]\n")[0])


def long_text(chance: random.Random, good: str) -> Hostile:
    count = chance.choice([150_000, 400_000, 3_000_000])
    content, line = said(good, chance.choice(SLOTS), "x" * count)
    return Hostile("huge text", f"{count} characters", content, line=line if len(content) < 500_000 else 0)


def long_key(chance: random.Random, good: str) -> Hostile:
    count = chance.choice([300, 1_000, 300_000])
    return Hostile("huge key", f"{count} characters", added(good, f"? {'k' * count}\n: 1\n")[0])


def number(chance: random.Random, good: str) -> Hostile:
    text = chance.choice(
        ["1" * 5_000, "9" * 90_000, "-" + "7" * 400, "1e999", "-1e999", "1.5e400", "0x" + "f" * 20_000, ".inf", "-.INF",
         "0b" + "1" * 9_000, "1" * 60 + ".0", ".nan", "1:" + ":".join(["59"] * 3_000), "1" + "_0" * 5_000]
    )  # fmt: skip
    old, line = "{hidden: 16}", good[: good.index("{hidden")].count("\n") + 1
    return Hostile("huge number", text[:20], good.replace(old, f"{{hidden: {text}}}").encode(), line=line)


FAMILIES = (aliases, laughs, itself, deep, indented, wide, long_list, long_text, long_key, number)
