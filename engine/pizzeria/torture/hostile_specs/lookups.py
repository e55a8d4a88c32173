"""Look-ups that call something, lead to secrets and files, in circles, or multiply."""

from __future__ import annotations

import random

from pizzeria.torture.hostile_specs import SECRET_FILE, SECRET_NAME, SLOTS, Hostile, said


def resolver(chance: random.Random, good: str) -> Hostile:
    yaml = chance.choice(
        [f"${{oc.env:{SECRET_NAME}}}", f"x${{oc.env:{SECRET_NAME},none}}y", f"'${{ oc.env : {SECRET_NAME} }}'",
         f"${{oc.decode:${{oc.env:{SECRET_NAME}}}}}", "${oc.create:{a: 1}}", "${oc.deprecated:problem.owner}",
         "${oc.dict.keys:problem}", "${oc.dict.values:problem}", "${hydra:runtime.cwd}", "${now:%Y}", "${eval:'1+1'}",
         "${python_version:}", f"${{file:{SECRET_FILE}}}", f"'${{\"oc.env\":{SECRET_NAME}}}'", "${:x}", "${ :}",
         f"${{oc.select:${{oc.env:{SECRET_NAME}}}}}", f"${{oc.select:x,${{oc.env:{SECRET_NAME}}}}}",
         f"\\${{oc.env:{SECRET_NAME}}}", f"$${{oc.env:{SECRET_NAME}}}", f"'${{oc.env:{SECRET_NAME}'"]
    )  # fmt: skip
    content, line = said(good, chance.choice(SLOTS), yaml)
    return Hostile("resolver", yaml, content, line=line)


def assembled(chance: random.Random, good: str) -> Hostile:
    name, yaml = chance.choice(
        [("env", "${oc.${problem.owner}:%s}"), ("oc.env", "${${problem.owner}:%s}"), ("oc",
        "${${problem.owner}.env:%s}"),
         ("env", "${oc.${.owner}:%s}"), ("env", "'${oc.${problem[owner]}:%s}'"), (SECRET_NAME,
         "${oc.env:${.owner}}%s"),
         ("env", "${oc.${oc.select:problem.owner}:%s}"), ("env", "${oc.select:a,${oc.${.owner}:%s}}")]
    )  # fmt: skip
    content, line = said(good, "need", yaml % SECRET_NAME)
    content = content.replace(b"owner: torture", f"owner: {name}".encode())
    return Hostile("assembled resolver", yaml, content, line=line)


def nowhere(chance: random.Random, good: str) -> Hostile:
    yaml = chance.choice(
        ["${hydra.runtime.cwd}", "${hydra.job.env_set}", "${HOME}", f"${{{SECRET_NAME}}}", "${__class__}",
        "${problem}",
         "${problem.__dict__}", "${problem.need.x}", "${.need}", "${..problem}", "${.......x}",
         "${problem.classes[9]}",
         "${}", "${ }", "${", "${a", "${a b c}", "${'problem'}", "${problem.classes}", "${..}", "${.}", "${[0]}",
         "${problem\\.owner}", "${/etc/passwd}", "${../secret.yaml}"]
    )  # fmt: skip
    content, line = said(good, "need", yaml)
    return Hostile("look-up of nothing", yaml, content, line=0 if "problem}" in yaml or yaml == "${..}" else line)


def circle(chance: random.Random, good: str) -> Hostile:
    count = chance.randint(1, 4)
    slots = SLOTS[:count]
    content = good.encode()
    for slot, following in zip(slots, (*slots[1:], slots[0]), strict=True):
        content = said(content.decode(), slot, chance.choice([f"${{problem.{following}}}", f"x${{.{following}}}"]))[0]
    return Hostile("look-ups in a circle", f"of {count}", content, line=0)


def doubling(chance: random.Random, good: str) -> Hostile:
    count, times = chance.randint(12, 40), chance.randint(2, 4)
    shape = chance.choice(["'%s'", "[%s]", "{%s}"])

    def level(i: int) -> str:
        refer = f"${{problem.b{i + 1}}}"
        if shape == "'%s'":
            return f"'{refer * times}'"
        if shape == "[%s]":
            return f"[{', '.join([refer] * times)}]"
        return f"{{{', '.join(f'k{j}: {refer}' for j in range(times))}}}"

    levels = "".join(f"  b{i}: {level(i)}\n" for i in range(count)) + f"  b{count}: lol"
    content, _ = said(good, "need", "${problem.b0}\n" + levels)
    return Hostile("look-up bomb", f"{count} levels of {times}, {shape}", content)


def many(chance: random.Random, good: str) -> Hostile:
    count = chance.choice([300, 3_000, 30_000])
    content, line = said(good, "need", "'" + "${.owner}" * count + "'")
    return Hostile("look-up bomb", f"{count} in one text", content, line=line if len(content) < 500_000 else 0)


FAMILIES = (resolver, resolver, assembled, nowhere, circle, doubling, many)
