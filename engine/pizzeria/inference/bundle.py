"""A bundle: one model with all that is needed to serve it, as a folder or as a zip of it, and its identity.

    bundle.json            format, name, task, classes, preprocessing, calibration, metrics, gate, lineage, versions
    model.onnx
    sample/request.jpg     a golden request (.jpg, .png, .webp or .json) ...
    sample/answer.json     ... and its answer, without the `model` key
    manifest.json          {path: sha256} of all the others

The bundle's sha256 is that of the manifest as canonical JSON: one changed byte anywhere makes it another bundle.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pizzeria.atomic import filling, make_folder, replacing
from pizzeria.errors import BundleError
from pizzeria.inference.bundle_description import check_description, check_format, plain
from pizzeria.inference.bundle_files import Files, FolderFiles, ZipFiles

FORMAT = 1
MODEL = "model.onnx"
DESCRIPTION = "bundle.json"
MANIFEST = "manifest.json"
ANSWER = "sample/answer.json"
REQUESTS = tuple(f"sample/request.{ending}" for ending in ("jpg", "png", "webp", "json"))
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; every file is checked against its hash again when it is read.

    Attributes:
        location: Where it was opened, for messages.
        sha256: Its identity; empty for a draft that is not written yet.
        description: What `bundle.json` says.
        files: Where its files are.
        hashes: The manifest.
    """

    location: str
    sha256: str
    description: Mapping[str, Any]
    files: Files
    hashes: Mapping[str, str]

    @property
    def name(self) -> str:
        return str(self.description["name"])

    @property
    def task(self) -> str:
        return str(self.description["task"])

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """C class names, in the order of the model's outputs; empty for regression."""
        return tuple(self.description["classes"])

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """See `pizzeria.inference.resize` and `pizzeria.inference.rows`."""
        found: Mapping[str, Any] = self.description["preprocessing"]
        return found

    @property
    def calibration(self) -> Mapping[str, Any]:
        """See `pizzeria.inference.calibration`."""
        found: Mapping[str, Any] = self.description["calibration"]
        return found

    @property
    def thresholds(self) -> Mapping[str, float]:
        """By class, the calibrated probability from which it is said to be present; presence tasks alone."""
        found: Mapping[str, float] = self.calibration.get("thresholds", {})
        return found

    @property
    def takes_photos(self) -> bool:
        return not self.task.startswith("tabular")

    @property
    def judges_presence(self) -> bool:
        """Whether each class is judged on its own: detection and multi-label."""
        return self.task in ("object_detection", "multilabel_classification")

    def read(self, name: str) -> bytes:
        """One file.

        Raises:
            BundleError: it changed since the bundle was opened.
        """
        data = self.files.read(name)
        if self.hashes and hashlib.sha256(data).hexdigest() != self.hashes.get(name):
            raise BundleError(f"{self.location}: {name} changed since the bundle was opened", hint="deploy it again")
        return data

    def sample_request(self) -> tuple[str, bytes]:
        """File name (`request.jpg`) and content of the golden request."""
        name = next(name for name in REQUESTS if name in self.hashes)
        return name.removeprefix("sample/"), self.read(name)

    def sample_answer(self) -> dict[str, Any]:
        """The answer to it, as `POST /predict` gives it, without the `model` key."""
        found: dict[str, Any] = json.loads(self.read(ANSWER))
        return found


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and check every file in it.

    Args:
        path: The folder, or the zip that `zip_bundle` made of it; a zip is not unpacked.

    Raises:
        BundleError: nothing is there; a file is missing, changed or too many; a zip has unsafe names or sizes; the
            format is of another version of Pizzeria.
    """
    path = Path(path)
    files = _files(path)
    description = _json(files, DESCRIPTION, path)
    check_format(description.get("format"), FORMAT, f"{path}: {DESCRIPTION}")
    hashes = _json(files, MANIFEST, path)
    _check_manifest(hashes, files, path)
    check_description(description, str(path))
    return Bundle(str(path), identity(hashes), description, files, hashes)


def identity(hashes: Mapping[str, str]) -> str:
    """sha256 of a manifest as canonical JSON: keys sorted, no blanks."""
    text = json.dumps(dict(hashes), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def draft_bundle(description: Mapping[str, Any], model: Path) -> Bundle:
    """A bundle not yet written, to try its model (for parity, and for the golden answer) before it is packed.

    Raises:
        BundleError: the description lacks something.
    """
    described = plain({"format": FORMAT, **description})
    check_description(described, str(model))
    return Bundle(str(model), "", described, FolderFiles(str(model), {MODEL: model}), {})


def write_bundle(
    folder: Path,
    description: Mapping[str, Any],
    model: Path,
    sample_request: tuple[str, bytes],
    sample_answer: Mapping[str, Any],
) -> str:
    """Write a bundle: whole or not at all.

    Args:
        folder: Where; must not exist, or be empty.
        description: What `bundle.json` shall say; `format` is added, and figures that are not finite become null.
        model: The ONNX file.
        sample_request: File name, whose ending is kept, and content.
        sample_answer: Body of the answer to it; `model` is left out.

    Returns:
        The bundle's sha256.

    Raises:
        BundleError: the description lacks something, or the folder is taken.
        OSError: it cannot be written.
    """
    folder = Path(folder)
    described = plain({"format": FORMAT, **description})
    check_description(described, str(folder))
    request = f"sample/request{Path(sample_request[0]).suffix.lower().replace('.jpeg', '.jpg')}"
    if request not in REQUESTS:
        raise BundleError(f"{folder}: a sample cannot be {sample_request[0]!r}", hint=f"one of {', '.join(REQUESTS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder} is taken", hint="write the bundle to a folder that does not exist")
    make_folder(folder.parent)
    with filling(folder) as work:
        (work / "sample").mkdir()
        answer = plain({key: value for key, value in sample_answer.items() if key != "model"})
        shutil.copyfile(model, work / MODEL)
        (work / DESCRIPTION).write_bytes(_dump(described))
        (work / request).write_bytes(sample_request[1])
        (work / ANSWER).write_bytes(_dump(answer))
        hashes = {name: _sha256(work / name) for name in sorted((MODEL, DESCRIPTION, request, ANSWER))}
        (work / MANIFEST).write_bytes(_dump(hashes))
    return identity(hashes)


def zip_bundle(folder: Path, path: Path) -> str:
    """Zip a bundle; the same bundle always gives the same bytes. Returns the bundle's sha256.

    Raises:
        BundleError: the folder is no sound bundle.
        OSError: it cannot be written.
    """
    bundle = open_bundle(folder)
    make_folder(path.parent)
    # Stored, not deflated: weights hardly shrink, and the bytes depend on no version of zlib.
    with replacing(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for item in sorted((*bundle.hashes, MANIFEST)):
            entry = zipfile.ZipInfo(item, _ZIP_DATE)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, bundle.files.read(item) if item == MANIFEST else bundle.read(item))
    return bundle.sha256


def _files(path: Path) -> Files:
    if path.is_dir():
        return FolderFiles.of(path)
    if path.is_file():
        return ZipFiles(path)
    raise BundleError(f"there is no bundle at {path}", hint="give the folder that `pizzeria run` packed, or its zip")


def _json(files: Files, name: str, path: Path) -> dict[str, Any]:
    if name not in files.names():
        raise BundleError(f"{path} is no bundle: {name} is missing", hint="give the folder that `pizzeria run` packed")
    try:
        found = json.loads(files.read(name))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: {name} is not JSON: {error}", hint="the bundle is damaged; pack it again") from None
    if not isinstance(found, dict):
        raise BundleError(f"{path}: {name} holds no JSON object", hint="the bundle is damaged; pack it again")
    return found


def _check_manifest(hashes: Mapping[str, Any], files: Files, path: Path) -> None:
    there, listed = set(files.names()) - {MANIFEST}, set(hashes)
    needed = {MODEL, DESCRIPTION, ANSWER}
    faults = [f"{name} is missing" for name in sorted((listed | needed) - there)]
    faults += [f"{name} is not in the manifest" for name in sorted(there - listed)]
    faults += [f"{name} was changed" for name in sorted(there & listed) if files.sha256(name) != hashes[name]]
    if not there & set(REQUESTS):
        faults.append("sample/request is missing")
    if faults:
        raise BundleError(
            f"{path} is damaged: {'; '.join(faults)}, by {MANIFEST}", hint="pack it again, or copy it again"
        )


def _dump(value: Any) -> bytes:
    return json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
