from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pizzeria.errors import BundleError
from pizzeria.inference.bundle import Bundle, identity, open_bundle, write_bundle, zip_bundle

Make = Callable[..., Bundle]


def faulty(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(path)
    return str(caught.value)


def rezip(source: Path, target: Path, change: Callable[[zipfile.ZipFile], None]) -> Path:
    target.write_bytes(source.read_bytes())
    with zipfile.ZipFile(target, "a") as archive:
        change(archive)
    return target


def test_what_is_written_is_read_from_folder_and_zip(make_bundle: Make, tmp_path: Path) -> None:
    bundle = make_bundle("object_detection", metrics={"map": float("nan")})
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o755
    assert sorted(bundle.hashes) == ["bundle.json", "model.onnx", "sample/answer.json", "sample/request.jpg"]
    assert bundle.sha256 == identity(json.loads((tmp_path / "bundle/manifest.json").read_text()))
    zipped = tmp_path / "out" / "bundle.zip"
    assert zip_bundle(tmp_path / "bundle", zipped) == bundle.sha256
    again = open_bundle(zipped)
    assert (again.sha256, again.classes, again.task) == (bundle.sha256, ("bed", "sofa", "tv"), "object_detection")
    assert again.read("model.onnx") == (tmp_path / "bundle/model.onnx").read_bytes()
    assert again.description["metrics"] == {"map": None}
    assert again.sample_request()[0] == "request.jpg"
    assert "model" not in again.sample_answer()


def test_a_zip_is_the_same_bytes_each_time(make_bundle: Make, tmp_path: Path) -> None:
    make_bundle("object_detection")
    for name in ("a.zip", "b.zip"):
        zip_bundle(tmp_path / "bundle", tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_the_same_content_has_the_same_identity_anywhere(make_bundle: Make) -> None:
    one, two = make_bundle("image_classification"), make_bundle("image_classification", folder="other")
    assert one.sha256 == two.sha256
    assert make_bundle("image_classification", folder="third", name="else").sha256 != one.sha256


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "sample/answer.json"])
def test_a_changed_or_missing_file_is_named(make_bundle: Make, tmp_path: Path, name: str) -> None:
    make_bundle("object_detection")
    path = tmp_path / "bundle" / name
    path.write_bytes(path.read_bytes() + b"\n")
    assert f"{name} was changed" in faulty(tmp_path / "bundle")
    path.unlink()
    assert f"{name} is missing" in faulty(tmp_path / "bundle")


def test_an_extra_file_is_named(make_bundle: Make, tmp_path: Path) -> None:
    make_bundle("object_detection")
    (tmp_path / "bundle/evil.pkl").write_bytes(b"x")
    assert "evil.pkl is not in the manifest" in faulty(tmp_path / "bundle")


def test_a_link_is_refused(make_bundle: Make, tmp_path: Path) -> None:
    make_bundle("object_detection")
    (tmp_path / "bundle/link").symlink_to("/etc/passwd")
    assert "link is no plain file" in faulty(tmp_path / "bundle")


def test_a_manifest_that_leads_out_is_refused(make_bundle: Make, tmp_path: Path) -> None:
    make_bundle("object_detection")
    manifest = tmp_path / "bundle/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"../../etc/passwd": "0" * 64}))
    assert "../../etc/passwd is missing" in faulty(tmp_path / "bundle")


def test_a_change_after_opening_is_noticed(make_bundle: Make, tmp_path: Path) -> None:
    bundle = make_bundle("object_detection")
    (tmp_path / "bundle/model.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"model\.onnx changed"):
        bundle.read("model.onnx")


def test_another_format_is_refused_first(make_bundle: Make, tmp_path: Path) -> None:
    make_bundle("object_detection")
    path = tmp_path / "bundle/bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    assert "bundle format 2 is not known here" in faulty(tmp_path / "bundle")


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_json_that_is_none_is_refused(make_bundle: Make, tmp_path: Path, content: bytes) -> None:
    make_bundle("object_detection")
    (tmp_path / "bundle/bundle.json").write_bytes(content)
    assert "bundle.json" in faulty(tmp_path / "bundle")


def test_nothing_there_and_no_zip(tmp_path: Path) -> None:
    assert "there is no bundle" in faulty(tmp_path / "absent")
    assert "is no bundle" in faulty(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"no zip")
    assert "is no zip" in faulty(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "C:/evil", "..\\evil", "a//b", "./a"])
def test_a_zip_with_names_that_lead_out_is_refused(make_bundle: Make, tmp_path: Path, name: str) -> None:
    make_bundle("object_detection")
    zip_bundle(tmp_path / "bundle", tmp_path / "good.zip")
    bad = rezip(tmp_path / "good.zip", tmp_path / "bad.zip", lambda archive: archive.writestr(name, b"x"))
    assert "leads out of it" in faulty(bad)
    assert not (tmp_path / "evil").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_duplicates_links_or_great_sizes_is_refused(make_bundle: Make, tmp_path: Path) -> None:
    make_bundle("object_detection")
    good = tmp_path / "good.zip"
    zip_bundle(tmp_path / "bundle", good)
    twice = rezip(good, tmp_path / "twice.zip", lambda archive: archive.writestr("model.onnx", b"other"))
    assert "'model.onnx' is there twice" in faulty(twice)
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    linked = rezip(good, tmp_path / "linked.zip", lambda archive: archive.writestr(link, b"/etc/passwd"))
    assert "'link' is a link" in faulty(linked)
    many = rezip(good, tmp_path / "many.zip", lambda a: [a.writestr(f"f{i}", b"") for i in range(200)] and None)
    assert "204 files" in faulty(many) or "205 files" in faulty(many)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", bytes(65 << 20))
    assert bomb.stat().st_size < 100_000
    assert "'bundle.json' has" in faulty(bomb)


def test_a_zip_with_a_flipped_byte_is_refused(make_bundle: Make, tmp_path: Path) -> None:
    make_bundle("object_detection")
    zip_bundle(tmp_path / "bundle", tmp_path / "a.zip")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"ir_version") if b"ir_version" in data else len(data) // 3] ^= 255
    (tmp_path / "a.zip").write_bytes(data)
    assert faulty(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "poetry"}, "task 'poetry' is unknown"),
        ({"classes": []}, "0 classes do not fit"),
        ({"preprocessing": {"kind": "columns"}}, "preprocessing.kind"),
        ({"preprocessing": {"kind": "photos", "size": [1, 1], "resize": "bend"}}, "preprocessing.resize"),
        ({"calibration": {"method": "none"}}, "calibration.thresholds lacks bed"),
        ({"calibration": {"method": "magic", "thresholds": {}}}, "calibration.method is 'magic'"),
        ({"metrics": None}, "metrics is NoneType"),
    ],
)
def test_a_description_that_makes_no_sense_is_not_written(
    make_bundle: Make, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    description = make_bundle("object_detection").description | changes
    with pytest.raises(BundleError, match=message.replace(".", r"\.")):
        write_bundle(tmp_path / "new", description, tmp_path / "bundle.onnx", ("a.jpg", b""), {})
    assert not (tmp_path / "new").exists()


def test_a_write_that_fails_leaves_nothing(make_bundle: Make, tmp_path: Path) -> None:
    description = make_bundle("object_detection").description
    with pytest.raises(FileNotFoundError):
        write_bundle(tmp_path / "new", description, tmp_path / "absent.onnx", ("a.jpg", b""), {})
    with pytest.raises(BundleError, match="is taken"):
        write_bundle(tmp_path / "bundle", description, tmp_path / "bundle.onnx", ("a.jpg", b""), {})
    with pytest.raises(BundleError, match="a sample cannot be"):
        write_bundle(tmp_path / "new", description, tmp_path / "bundle.onnx", ("a.gif", b""), {})
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".") or path.name == "new"]


def test_a_zip_with_very_many_files_is_refused_at_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for i in range(30_000):
            archive.writestr(f"{i}", b"")
    started = time.thread_time()  # of the processor, for which others wait, too
    with pytest.raises(BundleError, match="30000 files of 0 bytes"):
        open_bundle(tmp_path / "b.zip")
    assert time.thread_time() - started < 5


def test_a_zip_whose_model_is_a_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", bytes(70 << 20))
    with pytest.raises(BundleError, match=r"'model\.onnx' has 73400320 bytes, packed into"):
        open_bundle(tmp_path / "b.zip")


def test_a_zip_packed_in_an_unusual_way_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("model.onnx", b"x")
    with pytest.raises(BundleError, match="packed in an unusual way"):
        open_bundle(tmp_path / "b.zip")
