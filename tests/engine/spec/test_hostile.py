"""What a hostile spec cannot do once it is composed; `pizzeria torture --only specs` tries many more."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizzeria.errors import SpecError
from pizzeria.loading import load_spec
from pizzeria.spec.compose import compose, compose_hydra
from pizzeria.torture import workplace


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return workplace.rows(tmp_path, count=10)


def _refused(path: Path, *overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec([str(path), *overrides])
    return str(caught.value)


def test_a_resolver_cannot_be_named_by_another_value(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "s3cr3t")
    spec.write_text(
        spec.read_text().replace("owner: torture", "owner: env").replace("To be", "${oc.${problem.owner}:PLANTED}")
    )
    said = _refused(spec)
    assert "tiny.yaml:8: problem.need" in said
    assert "s3cr3t" not in said


def test_a_circle_of_look_ups_is_told_with_its_place(spec: Path) -> None:
    spec.write_text(
        spec.read_text()
        .replace("need: To be broken, and to hold.", "need: ${problem.owner}")
        .replace("owner: torture", "owner: ${problem.need}")
    )
    assert "tiny.yaml:8: problem.need: it is looked up from within itself" in _refused(spec)


def test_a_spec_that_names_itself_in_its_defaults_is_refused(spec: Path) -> None:
    spec.write_text(spec.read_text().replace("defaults:\n", "defaults:\n  - tiny\n"))
    assert "deeper and deeper" in _refused(spec)


def test_defaults_cannot_lead_out_of_the_folder_of_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.yaml").write_text("token: s3cr3t\n")
    work = tmp_path / "work"
    monkeypatch.chdir(tmp_path)
    spec = workplace.rows(work / "conf" / "experiment", count=10)
    monkeypatch.chdir(work)
    spec.write_text(spec.read_text().replace("defaults:\n", "defaults:\n  - ../../../secret\n"))
    with pytest.raises(SpecError, match="there is no 'secret'"):
        compose(["experiment=tiny"])
    with pytest.raises(SpecError, match="there is no 'secret'"):
        compose(["data=../../secret"])


def test_a_file_cannot_put_its_content_into_hydra(spec: Path) -> None:
    spec.write_text("# @package hydra.sweep\ndir: elsewhere\n")
    with pytest.raises(SpecError, match="cannot configure Hydra itself"):
        compose_hydra([], spec)


@pytest.mark.parametrize("override", ["name=" + "[" * 2000 + "]" * 2000, "name=" + "choice(" * 500 + "a" + ")" * 500])
def test_nested_overrides_are_refused(spec: Path, override: str) -> None:
    assert "nested more than" in _refused(spec, override)


@pytest.mark.parametrize("name", ["problem", "../x", "_here_"])
def test_a_package_that_cannot_be_is_told_of_the_file(spec: Path, name: str) -> None:
    spec.write_text(f"# @package {name}\n{spec.read_text()}")
    assert "tiny.yaml: In 'experiment/tiny'" in _refused(spec)


@pytest.mark.parametrize("entry", ["~", "{a: b, c: d}", "[a, b]"])
def test_defaults_that_are_none_are_told_of_the_file(spec: Path, entry: str) -> None:
    spec.write_text(spec.read_text().replace("defaults:\n", f"defaults:\n  - {entry}\n"))
    assert "tiny.yaml" in _refused(spec)


def test_a_number_of_thousands_of_digits_is_refused(spec: Path) -> None:
    assert "Exceeds the limit" in _refused(spec, f"model.hidden={'1' * 5000}")


def test_what_nobody_filled_in_is_refused(spec: Path) -> None:
    assert "problem.need: it is not filled in" in _refused(spec, "problem.need=???")


def test_hundreds_of_faults_are_told_as_fifty(spec: Path) -> None:
    spec.write_text(spec.read_text() + "".join(f"k{i}: 1\n" for i in range(700)))
    said = _refused(spec)
    assert said.count("unknown key") == 50
    assert "mend these first" in said


def test_a_long_value_is_cut_in_the_message(spec: Path) -> None:
    spec.write_text(spec.read_text().replace("task: tabular_classification", f"task: {'k' * 90_000}"))
    assert len(_refused(spec)) < 1000


def test_a_message_commands_no_terminal(spec: Path) -> None:
    assert "\x1b" not in _refused(spec, "nam\x1b[2Je=a")
