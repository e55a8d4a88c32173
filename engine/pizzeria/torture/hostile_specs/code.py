"""Specs that name code to run: tags, Hydra's keys, plugins, and Hydra's own section."""

from __future__ import annotations

import random

from pizzeria.torture.hostile_specs import CANARY, SLOTS, Hostile, added, said


def tag(chance: random.Random, good: str) -> Hostile:
    yaml = chance.choice(
        [f"!!python/object/apply:os.system ['python -c \"import {CANARY}\"']", f"!!python/module:{CANARY} ''",
         "!!python/name:os.system ''", f"!!python/object/new:{CANARY}.Canary []", "!!python/tuple [a, b]",
         f"!!python/object/apply:builtins.__import__ [{CANARY}]", "!!python/object/apply:pathlib.Path [/etc, passwd]",
         "!!python/object/apply:pathlib.PosixPath [/etc/passwd]", "!!python/bytes aGVsbG8=", "!!binary aGVsbG8=",
         "!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!int bed", "!!float bed", "!!bool bed", "!!null bed",
         "!!timestamp bed", "!env HOME", "!include /etc/passwd", "!<tag:yaml.org,2002:python/name:os.system> x",
         "!!str no", "!!int '3'", "!ruby/object:Gem x"]
    )  # fmt: skip
    content, line = said(good, chance.choice(SLOTS), yaml)
    return Hostile("tag", yaml, content, line=line)


def target(chance: random.Random, good: str) -> Hostile:
    key = chance.choice(["_target_", "_partial_", "_recursive_", "_convert_", "_args_"])
    value = chance.choice(["os.system", f"{CANARY}.run", "builtins.eval", "subprocess.run", "true"])
    where = chance.choice(["model: {hidden: 16}", "training: {max_epochs"])
    extra = f"{key}: {value}, "
    line = good[: good.index(where)].count("\n") + 1
    content = good.replace(where, where.replace("{", "{" + extra, 1)).encode()
    return Hostile("Hydra's keys", f"{extra}in {where[:8]}", content, line=line)


def target_below(chance: random.Random, good: str) -> Hostile:
    yaml = f"{{_target_: {CANARY}.run, args: [{{_target_: os.system}}]}}"
    content, line = said(good, chance.choice(SLOTS), yaml)
    return Hostile("Hydra's keys", yaml, content, line=line)


def plugin(chance: random.Random, good: str) -> Hostile:
    name = chance.choice(
        ["os.system", "../x", "/etc/passwd", CANARY, f"{CANARY}:run", "pizzeria_plugins.models.timm_probe", "..", "a b",
         "'__import__(\"os\")'", "tabular_network.py", "os", "'*'", "x" * 5_000, "file:///etc/passwd", "''"]
    )  # fmt: skip
    kind, old = chance.choice([("model", "{hidden: 16}"), ("deployment", "{port"), ("monitoring", "{chunk")])
    line = good[: good.index(f"{kind}: {old}")].count("\n") + 1
    content = good.replace(f"{kind}: {old}", f"{kind}: {{use: {name}, {old[1:]}").encode()
    return Hostile("plugin's name", f"{kind}.use: {name[:40]}", content, line=line)


def hydra(chance: random.Random, good: str) -> Hostile:
    yaml = chance.choice(
        ["{run: {dir: /tmp/elsewhere}}", "{searchpath: ['file:///etc']}", "{searchpath: ['pkg://os']}",
         f"{{callbacks: {{x: {{y: {CANARY}}}}}}}", "{job: {chdir: true}}", "{launcher: {n_jobs: 9}}",
         "{job: {env_set: {PATH: /tmp}}}", "{sweep: {dir: /tmp/elsewhere}}", "{output_subdir: ../..}"]
    )  # fmt: skip
    content, line = added(good, f"hydra: {yaml}\n")
    return Hostile("Hydra's section", yaml, content, line=line)


def package(chance: random.Random, good: str) -> Hostile:
    name = chance.choice(
        ["hydra", "hydra.run", "hydra.launcher", "problem", "_global_.model", "a.b.c", "../x", "_here_"]
    )
    return Hostile("package header", name, f"# @package {name}\n{good}".encode())


def defaults(chance: random.Random, good: str) -> Hostile:
    entry = chance.choice(
        ["/etc/passwd", "../secret", "../../secret", "secret", "file:///etc/passwd", "pkg://hydra.conf/hydra/config",
         "tiny", "experiment/tiny", "/experiment/tiny", "override /hydra/launcher: ../../secret", "data: ../secret",
         "/data/../../secret", "model@hydra.run: timm_probe", "override hydra/job_logging: disabled",
         "'${oc.env:HOME}'", "data: '${oc.env:HOME}'", "{a: b, c: d}", "[a, b]", "'*'", "..", "~", "/", "data: [a, b]",
         "override /nothing: x", "optional /etc/passwd: x", "hydra: x", "checked:///etc/passwd"]
    )  # fmt: skip
    if entry.startswith("optional"):
        entry = "override /data: ../../../secret"
    content = good.replace("defaults:\n", f"defaults:\n  - {entry}\n").encode()
    return Hostile("defaults list", entry, content)


FAMILIES = (tag, tag, target, target_below, plugin, hydra, package, defaults, defaults)
