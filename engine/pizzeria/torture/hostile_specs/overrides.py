"""Overrides on the command line that are a bomb, name code, or lead elsewhere."""

from __future__ import annotations

import random

from pizzeria.torture.hostile_specs import CANARY, SECRET_NAME, Hostile


def override(chance: random.Random, good: str) -> Hostile:
    depth = chance.choice([30, 600, 4_000])
    text = chance.choice(
        ["name=glob(*)", "training.max_epochs=range(1,1000000000)", "training.max_epochs=interval(1,1e9)",
         f"name={'choice(' * depth}a{')' * depth}", f"name={'[' * depth}{']' * depth}",
         f"name={'{a:' * depth}1{'}' * depth}",
         f"name={'shuffle(sort(' * depth}1{'))' * depth}", "name=" + "a" * 200_000, "k" * 200_000 + "=1",
         f"problem.need=${{oc.env:{SECRET_NAME}}}", f"problem.owner=${{oc.${{problem.task}}:{SECRET_NAME}}}",
         f"+problem.extra=${{oc.env:{SECRET_NAME}}}", "model._target_=os.system",
         f"++model={{_target_: {CANARY}.run}}",
         "hydra.run.dir=/tmp/elsewhere", "hydra.searchpath=[file:///etc]", "+hydra.searchpath=[file:///etc]",
         "hydra/launcher=../../secret", "++hydra.job.chdir=true", "~hydra", "data@hydra.run=table",
         "+data@hydra.run=table",
         "data=../../secret", "data=/etc/passwd", "model=../secret", "experiment=../../secret",
         "+experiment=/etc/passwd",
         "=", "~", "+", "~problem", "~problem.need", "name=", "1=2", "a.b.c.d=1", "name=a\tb", "name=\x1b[2J",
         "\x1b[2J=1",
         "name=a=b", "name='", 'name="', "name=[a", "name={a", "name=$(id)", "name=`id`", "name=a;id",
         "problem.need=???",
         "problem.need=null", "problem=null", "problem=1", "model.hidden=1e999", f"model.hidden={'1' * 5_000}",
         "model.hidden=inf", "model.hidden=nan", "model.use=os.system", "model.use=../x",
         "problem.classes=extend_list(x)",
         "name=json_str({a:1})", f"model.hidden=int({'9' * 5_000})", "name=../../x", "model.hidden=-1"]
    )  # fmt: skip
    if chance.random() < 0.05:
        return Hostile("override", "2,000 of them", good.encode(), tuple(f"k{i}=1" for i in range(2_000)))
    return Hostile("override", text[:60], good.encode(), (text,))


FAMILIES = (override, override, override, override, override)
