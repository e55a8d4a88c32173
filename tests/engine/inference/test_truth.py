"""What a label may say, which one holds, and that neither order nor repetition matters."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizzeria.clock import utcnow
from pizzeria.errors import RequestError
from pizzeria.inference.feedback import read_labels
from pizzeria.inference.truth import Label, check_truth, holding, latest, read_moment, sift

CLASSES = ("bed", "sofa")
ID = "019ab3a5-6a2e-7c41-9d3f-0b5f4c8e7a12"
BOX = {"class": "bed", "x_min": 1, "y_min": 2, "x_max": 3, "y_max": 4}
NOW = datetime(2026, 5, 1, tzinfo=UTC)
DETECTION = "object_detection"


def refused(task: str, body: Any, **options: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read_labels(body if isinstance(body, bytes) else json.dumps(body).encode(), task, CLASSES, **options)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"class": "beds"}, "unknown_class", "class"),
        ({"class": 1}, "wrong_label", "class"),
        ({"x_min": None}, "wrong_label", "x_min"),
        ({"x_min": True}, "wrong_label", "x_min"),
        ({"x_min": -1}, "wrong_box", "it reaches out"),
        ({"x_max": 1}, "wrong_box", "it has no area"),
        ({"x_max": 1.001}, "wrong_box", "it has no area"),
        ({"y_max": 1e7}, "wrong_box", "it reaches out"),
        ({"y_max": 10**400}, "wrong_label", "y_max"),
        ({"score": 1}, "wrong_label", "there is no key 'score'"),
    ],
)
def test_boxes_are_checked(change: dict[str, Any], code: str, place: str) -> None:
    error = refused(DETECTION, {"prediction_id": ID, "boxes": [BOX, BOX | change]})
    assert error.code == code
    assert error.message.startswith("labels[0].boxes[1]")
    assert place in error.message


def test_boxes_and_classes_go_together() -> None:
    said = json.loads(check_truth({"boxes": [BOX], "classes": ["sofa", "bed"]}, DETECTION, CLASSES))
    assert said["classes"] == ["bed", "sofa"]
    assert refused(DETECTION, {"prediction_id": ID, "boxes": [BOX], "classes": ["sofa"]}).code == "contradiction"
    assert refused(DETECTION, {"prediction_id": ID, "boxes": [BOX] * 1001}).code == "too_many_boxes"


@given(st.permutations([BOX, BOX | {"class": "sofa"}, BOX | {"x_max": 9}]))
def test_the_order_of_boxes_makes_no_other_label(boxes: list[Any]) -> None:
    assert check_truth({"boxes": boxes}, DETECTION, CLASSES) == check_truth({"boxes": boxes[::-1]}, DETECTION, CLASSES)


@pytest.mark.parametrize(
    ("task", "label", "code"),
    [
        ("tabular_regression", {"prediction_id": f"{ID}/0", "value": "3"}, "wrong_label"),
        ("tabular_regression", {"prediction_id": f"{ID}/0", "class": "bed"}, "unknown_form"),
        ("tabular_regression", {"prediction_id": ID, "value": 3}, "bad_id"),
        ("tabular_regression", {"prediction_id": f"{ID}/01", "value": 3}, "bad_id"),
        ("image_classification", {"prediction_id": f"{ID}/0", "class": "bed"}, "bad_id"),
        ("image_classification", {"prediction_id": 7, "class": "bed"}, "bad_id"),
        ("image_classification", {"class": "bed"}, "bad_id"),
        ("image_classification", {"input_id": "", "class": "bed"}, "bad_id"),
        ("image_classification", {"input_id": 7, "class": "bed"}, "wrong_label"),
        ("image_classification", {"prediction_id": ID, "input_id": "a", "class": "bed"}, "bad_id"),
        ("image_classification", {"prediction_id": ID}, "no_truth"),
        ("image_classification", {"prediction_id": ID, "class": "\ud800"}, "unknown_class"),
        ("image_classification", {"prediction_id": ID, "class": "bed", "at": "2026-05-01"}, "wrong_label"),
        ("image_classification", {"prediction_id": ID, "class": "bed", "at": "2026-13-01T12:00:00Z"}, "wrong_label"),
        ("image_classification", {"prediction_id": ID, "class": "bed", "source": 7}, "wrong_label"),
        ("multilabel_classification", {"prediction_id": ID, "classes": "bed"}, "wrong_label"),
        (DETECTION, {"prediction_id": ID, "boxes": {}}, "wrong_label"),
        (DETECTION, {"labels": [], "more": 1}, "wrong_label"),
        (DETECTION, {"labels": []}, "no_labels"),
        (DETECTION, [7], "wrong_label"),
        (DETECTION, b'{"prediction_id": NaN}', "not_finite"),
        (DETECTION, b"{", "not_json"),
    ],
)
def test_what_is_wrong_is_refused(task: str, label: Any, code: str) -> None:
    assert refused(task, label).code == code


def test_names_and_sources_are_made_whole_as_the_log_does() -> None:
    body = json.dumps({"input_id": "\ud800" + "a" * 300, "class": "bed", "source": "a\x00b"}).encode()
    [label] = read_labels(body, "image_classification", CLASSES)
    assert label.name == "?" + "a" * 199
    assert label.source == "feedback: a\ufffdb"
    assert refused("image_classification", body, by_input=False).code == "bad_id"


def test_no_label_holds_against_all_that_is_said_later() -> None:
    body = {"input_id": "a.jpg", "class": "bed", "at": (utcnow() + timedelta(minutes=4)).isoformat()}
    assert len(read_labels(json.dumps(body).encode(), "image_classification", CLASSES)) == 1
    error = refused("image_classification", body | {"at": "2999-01-01T00:00:00Z"})
    assert (error.code, error.message) == ("wrong_label", "labels[0].at: 2999-01-01T00:00:00Z is yet to come")


def test_nobody_passes_for_a_source_that_is_trusted() -> None:
    said = [{"input_id": "a.jpg", "class": "bed", "source": name} for name in ("staff", "feedback: staff", "")]
    found = read_labels(json.dumps(said).encode(), "image_classification", CLASSES)
    assert [label.source for label in found] == ["feedback: staff", "feedback: feedback: staff", "feedback"]


def test_times_are_made_alike() -> None:
    assert (
        read_moment("2026-05-01T14:00:00+02:00")
        == read_moment("2026-05-01T12:00")
        == read_moment("2026-05-01T12:00:00.0Z")
    )


LABELS = st.lists(
    st.builds(
        Label,
        st.sampled_from(["prediction_id", "input_id"]),
        st.sampled_from(["1", "2"]),
        st.sampled_from(['{"class":"bed"}', '{"class":"sofa"}']),
        st.integers(0, 3).map(lambda n: f"2026-05-01T00:00:0{n}.000000+00:00"),
        st.sampled_from(["", "Anna"]),
    ),
    max_size=8,
)


@given(LABELS, st.data())
def test_labels_with_a_time_may_come_in_any_order_and_again(labels: list[Label], data: st.DataObject) -> None:
    kept, _ = sift([], labels, NOW)
    shuffled = data.draw(st.permutations([*labels, *labels[: len(labels) // 2]]))
    cut = data.draw(st.integers(0, len(shuffled)))
    first, _ = sift([], shuffled[:cut], NOW)
    rest, _ = sift(first, shuffled[cut:], NOW)
    assert set(first + rest) == set(kept)
    assert latest(first + rest) == latest(kept)
    assert holding(latest(kept), "1", "2") == holding(latest(kept[::-1]), "1", "2")


@given(LABELS)
def test_labels_without_a_time_hold_from_when_they_come_and_once(labels: list[Label]) -> None:
    known: list[Label] = []
    for label in labels:
        now = replace(label, at="", source="")
        written, counts = sift(known, [now, now], NOW)
        known += written
        assert latest(known)[label.key].truth == label.truth
        assert len(written) == counts.new + counts.changed <= 1
