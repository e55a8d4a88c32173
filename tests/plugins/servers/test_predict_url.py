"""`pizzeria predict --url`: the same records, files and copies as from the bundle itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pizzeria.answering import BundleAnswers, ServiceAnswers
from pizzeria.cli import main
from pizzeria.client import Client
from pizzeria.errors import DataError, DeploymentError, PizzeriaError, RequestError
from pizzeria.prediction import find_photos, predict_photos, predict_rows
from pizzeria.progress import PlainProgress

from .conftest import Service, Start, photo

SILENT = PlainProgress(every_s=1e9)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five photos that can be read, one that is cut off, and one that is no photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, brightness in enumerate((20, 90, 150, 200, 250)):
        (folder / f"{i}.jpg").write_bytes(photo(brightness, (61 + i, 47)))
    (folder / "cut.jpg").write_bytes(photo()[:300])
    (folder / "text.png").write_text("no photo")
    return folder


def _predict(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["predict", *arguments])


def test_a_service_gives_the_records_and_copies_of_its_bundle(
    service: Service, detection_bundle: Path, photos: Path, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    local = predict_photos(BundleAnswers(detection_bundle, 40), find_photos([photos]), here, SILENT)
    with Client(service.url) as client:
        remote = predict_photos(ServiceAnswers(client), find_photos([photos]), there, SILENT)
    assert len(local.records) == 10
    assert remote.records == local.records
    assert remote.failed == local.failed
    assert [Path(name).name for name in local.failed] == ["cut.jpg", "text.png"]
    copies = sorted(path.name for path in here.iterdir())
    assert copies == [f"000{i}_{i}.jpg" for i in range(5)]
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        name: (here / name).read_bytes() for name in copies
    }


def test_a_service_gives_the_rows_of_its_bundle_in_parts_as_small_as_it_takes(
    start: Start, tabular_bundle: Path, tmp_path: Path
) -> None:
    table = tmp_path / "rooms.jsonl"
    rows = [{"rooms": i % 7, "beds": i / 3, "colour": "red"} for i in range(2345)]
    table.write_text("\n".join(map(json.dumps, rows)))
    local = predict_rows(BundleAnswers(tabular_bundle, 40), table, SILENT)
    with Client(start(tabular_bundle, max_rows=300).url) as client:
        remote = predict_rows(ServiceAnswers(client), table, SILENT)
        assert remote == local
        assert [record["row"] for record in remote.records] == list(range(2345))
        rows[1800]["beds"] = "many"
        table.write_text("\n".join(map(json.dumps, rows)))
        for answering in (BundleAnswers(tabular_bundle, 40), ServiceAnswers(client)):
            with pytest.raises(RequestError, match=r"rows\[1800\].beds: found 'many'"):
                predict_rows(answering, table, SILENT)


def test_a_busy_service_is_waited_for(start: Start, detection_bundle: Path, photos: Path) -> None:
    with Client(start(detection_bundle, max_concurrency=1).url, timeout_s=120) as client:
        done = predict_photos(ServiceAnswers(client), find_photos([photos]), None, SILENT)
    assert len(done.records) == 10
    assert [Path(name).name for name in done.failed] == ["cut.jpg", "text.png"]


def test_a_service_without_pages_is_asked_all_the_same(start: Start, detection_bundle: Path, photos: Path) -> None:
    drawn = photos / "drawn"
    with Client(start(detection_bundle, pages=False).url) as client:
        done = predict_photos(ServiceAnswers(client), find_photos([photos / "0.jpg"]), drawn, SILENT)
    assert len(done.records) == 2
    assert done.drawn is None
    assert not drawn.exists()


def test_answers_of_two_models_are_never_mixed(service: Service) -> None:
    with Client(service.url) as client:
        answering = ServiceAnswers(client)
        assert client.expect_sha256 == service.release.sha256
        client.expect_sha256 = "0" * 64  # as if another model had been deployed since
        with pytest.raises(DeploymentError, match="where 000000000000 is expected"):
            answering.photo(photo(), "kitchen.jpg")


def test_the_command_writes_coco_results_and_tells_of_broken_photos(
    service: Service, photos: Path, tmp_path: Path
) -> None:
    out, drawn = tmp_path / "found.json", tmp_path / "drawn"
    done = _predict("--url", service.url, str(photos), "--out", str(out), "--drawn", str(drawn))
    assert done.exit_code == DataError.exit_code, done.output
    assert f"10 predictions of 5 inputs in {out}" in done.output
    assert f"copies with boxes in {drawn}" in done.output
    assert f"not predicted: {photos / 'cut.jpg'}: " in done.output
    results = json.loads(out.read_text())
    assert {entry["image_id"] for entry in results} == {f"{i}.jpg" for i in range(5)}
    assert all(
        set(entry) == {"image_id", "category_id", "bbox", "score", "category", "confidence"} for entry in results
    )


def test_no_folder_of_copies_is_named_when_every_photo_failed(service: Service, photos: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    done = _predict("--url", service.url, str(photos / "cut.jpg"), "--drawn", str(drawn))
    assert done.exit_code == DataError.exit_code
    assert "copies with boxes" not in done.output
    assert not drawn.exists()


def test_a_missing_key_ends_the_command_at_once(
    start: Start, detection_bundle: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KITCHEN_KEY", "basil-basil-basil-basil-basil-basil")
    service = start(detection_bundle, keys_from="KITCHEN_KEY")
    refused = _predict("--url", service.url, str(photos))
    assert refused.exit_code == PizzeriaError.exit_code
    assert "not predicted" not in refused.output
    answered = _predict("--url", service.url, "--key-from", "KITCHEN_KEY", str(photos / "0.jpg"))
    assert answered.exit_code == 0, answered.output
    assert json.loads(answered.stdout.splitlines()[0])["category"] == "sofa"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--url", "http://127.0.0.1:9", "photos"], 6, "no service answers at http://127.0.0.1:9"),
        (["--url", "127.0.0.1:3000", "photos"], 1, "write it as http://127.0.0.1:3000"),
        (["--url", "http://127.0.0.1:9", "--key-from", "NO_SUCH_KEY", "photos"], 2, "NO_SUCH_KEY is not set"),
        (["amenities"], 2, "'amenities' is the run; name what it shall predict too"),
        (["--url", "http://127.0.0.1:9", "photos", "--out", "found.xls"], 4, "ends in none of"),
    ],
)
def test_mistakes_are_told_plainly(arguments: list[str], code: int, text: str) -> None:
    done = _predict(*arguments)
    assert done.exit_code == code, done.output
    assert text in done.output
