"""Composing and checking: right specs pass, wrong ones are refused with file, line, path and the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizzeria.errors import SpecError
from pizzeria.loading import load_resolved, load_spec
from pizzeria.spec.compose import shipped_conf, sweep

EXPERIMENTS = sorted(path.stem for path in (shipped_conf() / "experiment").glob("*.yaml"))

# override, then what the message must hold
FAULTS = [
    ("training.max_epoch=3", ["training.max_epoch: unknown key", "did you mean max_epochs"]),
    ("training.max_epochs=many", ["training.max_epochs: found 'many'"]),
    ("training.max_epochs='5'", ["training.max_epochs: found '5'"]),
    ("training.max_epochs=0", ["training.max_epochs: found 0"]),
    ("model.use=timm_detectr", ["model.use: no plugin 'timm_detectr'", "did you mean timm_detector"]),
    ("+model.class_weights={bed: 2, sofe: 3}", ["model.class_weights.sofe", "did you mean sofa"]),
    ("model.class_weights=balancd", ["model.class_weights: found 'balancd'; write balanced, or for each class"]),
    ("model.head=retina", ["model.head: found 'retina'", "did you mean retinanet?"]),
    ("+model.anchors={scales: 2}", ["anchors: the head fcos has none"]),
    ("modle.depth=3", ["modle: unknown key", "did you mean model?"]),
    ("problem.success.0.metric=map50", ["problem.success[0].metric", "no metric 'map50'", "did you mean map_50"]),
    ("problem.success.0.metric=accuracy", ["object_detection has no metric 'accuracy'"]),
    ("problem.success=[]", ["problem.success: nothing is listed here"]),
    ("problem.success=[{metric: map_50}]", ["a criterion needs at_least, at_most or gain_over"]),
    ("problem.success.0.slice={room: kitchen, source: coco}", ["a slice is one column and one value of it"]),
    ("evaluation.slices=[room, room]", ["columns named twice: room"]),
    ("evaluation.slices=[{column: brightness, edges: [0.7, 0.3]}]", ["edges ascend, each one once; write [0.3, 0.7]"]),
    ("evaluation.slices=[{colum: brightness}]", ["evaluation.slices"]),
    ("evaluation.resamples=5", ["5 draws say nothing; write 100 or more, or 0"]),
    ("evaluation.confidence=95", ["evaluation.confidence: found 95"]),
    ("problem.success.0.of_class=beed", ["'beed' is not among problem.classes", "did you mean bed?"]),
    ("problem.classes=[bed,bed]", ["classes named twice: bed"]),
    ("problem.task=image_classification", ["does not serve image_classification"]),
    ("problem.task=detection", ["problem.task: found 'detection'", "object_detection"]),
    ("problem.target=price", ["object_detection has no target column"]),
    ("data.split.validation=0.9", ["leave nothing to train on"]),
    (
        "data.expectations.boxes=[{expect_column_value_to_be_between: {column: x}}]",
        ["expect_column_values_to_be_between"],
    ),
    ("data._target_=os.system", ["data._target_: a spec is data"]),
    ("monitoring.alerts=[{use: lgo}]", ["monitoring.alerts[0].use: no plugin 'lgo'", "did you mean log?"]),
    ("serving.log.use=sqlit", ["serving.log.use: no plugin 'sqlit'", "did you mean sqlite?"]),
    ("serving.max_body_mb=.nan", ["serving.max_body_mb"]),
    ("deployment.prot=3001", ["deployment.prot: unknown key", "did you mean port?"]),
    ("maintenance.at_most_every=daily", ["maintenance.at_most_every: found 'daily'"]),
    ("name='../../etc'", ["name: found '../../etc'"]),
    ("training.learning_rate=${oc.env:HOME}", ["resolver 'oc.env' is not allowed"]),
    ("model=timm_detectr", ["there is no 'timm_detectr'", "did you mean timm_detector"]),
]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_shipped_experiments_are_right(experiment: str) -> None:
    assert load_spec([f"experiment={experiment}"]).name


@pytest.mark.parametrize(("override", "expected"), FAULTS, ids=[one[0] for one in FAULTS])
def test_faults(override: str, expected: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(["experiment=amenities", override])
    for text in expected:
        assert text in str(caught.value)


def test_all_faults_in_one_go() -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(["experiment=amenities", "training.max_epoch=3", "model.bakbone=x", "problem.success.1.metric=f"])
    assert len(caught.value.faults) == 3


def test_a_fault_in_a_file_has_its_line(working_folder: Path) -> None:
    text = (shipped_conf() / "experiment" / "amenities.yaml").read_text()
    number = next(i for i, line in enumerate(text.splitlines(), 1) if "map_50" in line)
    (working_folder / "mine.yaml").write_text(text.replace("map_50", "map_55"))
    with pytest.raises(SpecError, match=rf"mine\.yaml:{number}: problem\.success\[0\]\.metric"):
        load_spec(["mine.yaml"])


def test_an_unmentioned_key_can_be_overridden_without_plus() -> None:
    spec = load_spec(["experiment=amenities", "training.gradient_clip=1.5"])
    assert spec.training.options.gradient_clip == 1.5


def test_own_conf_comes_before_the_shipped_one(working_folder: Path) -> None:
    own = working_folder / "conf" / "experiment"
    own.mkdir(parents=True)
    text = (shipped_conf() / "experiment" / "amenities.yaml").read_text()
    (own / "mine.yaml").write_text(text.replace("name: amenities", "name: mine"))
    (own / "amenities.yaml").write_text(text.replace("owner: trust-and-safety", "owner: me"))
    assert load_spec(["experiment=mine"]).name == "mine"
    assert load_spec(["experiment=amenities"]).problem.owner == "me"


def test_a_resolved_spec_reads_back_equal(working_folder: Path) -> None:
    import yaml

    for experiment in EXPERIMENTS:
        spec = load_spec([f"experiment={experiment}"])
        path = working_folder / "spec.yaml"
        path.write_text(yaml.safe_dump(spec.resolved(), sort_keys=False))
        assert load_resolved(path) == spec


def test_options_are_known_by_their_names_in_a_spec(working_folder: Path) -> None:
    """`schema` is none of Python's names for a field, so the prediction log `postgresql` has another one for it."""
    import yaml

    log = "serving.log={use: postgresql, dsn_from: DATABASE, schema: kitchen}"
    spec = load_spec(["experiment=amenities", log])
    path = working_folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec.resolved(), sort_keys=False))
    assert load_resolved(path) == spec
    with pytest.raises(SpecError, match="unknown key") as caught:
        load_spec(["experiment=amenities", log.replace("schema", "schemas")])
    assert "did you mean schema?" in str(caught.value)


def test_specs_are_frozen() -> None:
    from pydantic import ValidationError

    spec = load_spec(["experiment=amenities"])
    with pytest.raises(ValidationError, match="frozen"):
        spec.training.seed = 3  # type: ignore[misc]


def test_a_sweep_is_expanded_as_hydra_does() -> None:
    assert sweep(["model.backbone=a,b", "training.seed=range(0,2)"]) == [
        ["model.backbone=a", "training.seed=0"],
        ["model.backbone=a", "training.seed=1"],
        ["model.backbone=b", "training.seed=0"],
        ["model.backbone=b", "training.seed=1"],
    ]


def test_the_spec_of_the_readme_is_right(working_folder: Path) -> None:
    import re

    readme = (Path(__file__).parents[3] / "README.md").read_text()
    block, *_ = re.findall(r"^```yaml\n(.*?)^```", readme, re.M | re.S)
    (working_folder / "conf" / "experiment").mkdir(parents=True)
    (working_folder / "conf" / "experiment" / "mine.yaml").write_text(block)
    assert load_spec(["experiment=mine"]).name == "rooms"


def test_what_criteria_ask_of_the_evaluation_must_be_there() -> None:
    wrong = [
        "experiment=amenities",
        "evaluation.resamples=0",
        "evaluation.slices=[{column: brightness, edges: [0.3, 0.7]}]",
        "problem.success=[{metric: map_50, at_least: 0.5, lower_bound: true}, "
        "{metric: map, at_least: 0.2, slice: {brightness: above 0.7}}]",
    ]
    with pytest.raises(SpecError) as caught:
        load_spec(wrong)
    assert "problem.success[0].lower_bound: there is no interval: evaluation.resamples is 0" in str(caught.value)
    assert "evaluation.slices cuts brightness into no slice 'above 0.7'" in str(caught.value)
    assert "did you mean below 0.3" in str(caught.value) or "0.7 or more" in str(caught.value)
    with pytest.raises(
        SpecError, match=r"evaluation\.slices\[0\]: object_size is of boxes, and tabular_classification"
    ):
        load_spec(["experiment=census", "evaluation.slices=[object_size]"])
    right = load_spec(["experiment=amenities", "problem.success=[{metric: map, gain_over_champion: -0.01}]"])
    assert right.problem.success[0].gain_over_champion == -0.01
