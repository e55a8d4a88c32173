"""What a frozen backbone makes of photos, computed once and kept on disk: an epoch then goes through the rest alone.

stem/
  view-000/, view-001/ ...    of the training split, changed at random in another way in each
  validation/                 of the validation split as it is
    maps-0.npy ...            float16 [N, H, W, C] for each tensor of `Network.stem`, in the order of the split's rows
    boxes.npy, labels.npy, counts.npy    the true boxes [M, 4] and classes [M] of all photos, and how many each has [N]

A folder is renamed into place last, so what stands is whole, and a training that was cut off makes only what it lacks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pizzeria.atomic import rename, sync_all
from pizzeria.contracts import TrainJob
from pizzeria.datasets import ImageSet
from pizzeria_plugins.trainers.checkpoint_io import writing
from pizzeria_plugins.trainers.device import device_name, precision_name
from pizzeria_plugins.trainers.plan import Batch, EpochBatches, Plan

FOLDER = "stem"
_AT_ONCE = 16
_LARGEST = 65504.0
"""Of a float16; what is larger is kept as this."""


class StemBatches(Dataset[Batch]):
    """Batches of what was kept, as long as the backbone is frozen, and of photos from then on.

    Args:
        views: Folders as `keep` leaves them; a photo's view changes from epoch to epoch, until all had their turn.
        rows: The split's rows, ascending.
        photos: Batches of the photos themselves.
        until: Epoch from which the backbone learns, counted from 0.
        seed: Decides which view of a photo comes first.
    """

    def __init__(
        self, views: list[Path], rows: NDArray[np.int64], photos: Dataset[Batch], until: int, seed: int
    ) -> None:
        self.rows = rows
        self.photos = photos
        self.until = until
        self._views = [_View(folder) for folder in views]
        self._first = np.random.default_rng([seed]).integers(len(views), size=len(rows))

    def __getitem__(self, plan: Plan) -> Batch:
        if plan.epoch >= self.until:
            return self.photos[plan]
        places = np.searchsorted(self.rows, plan.own)
        turns = (self._first[places] + plan.epoch) % len(self._views)
        found = [self._views[turn].photo(place) for turn, place in zip(turns, places, strict=True)]
        maps = [np.stack(tensors) for tensors in zip(*(tensors for tensors, _ in found), strict=True)]
        # [N, H, W, C] seen as [N, C, H, W] is what `channels_last` means: no copy is needed.
        inputs = tuple(torch.from_numpy(one).float().permute(0, 3, 1, 2) for one in maps)
        return Batch(inputs, [target for _, target in found], stem=True)


class _View:
    """One folder, opened."""

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.glob("maps-*.npy"), key=lambda file: int(file.stem.removeprefix("maps-")))
        self._maps = [np.load(file, mmap_mode="r", allow_pickle=False) for file in files]
        self._boxes, self._labels, counts = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("boxes", "labels", "counts")
        )
        self._ends = np.concatenate([[0], np.cumsum(counts)])

    def photo(self, place: int) -> tuple[list[NDArray[np.float16]], dict[str, Tensor]]:
        own = slice(self._ends[place], self._ends[place + 1])
        target = {"boxes": torch.from_numpy(self._boxes[own]), "labels": torch.from_numpy(self._labels[own])}
        return [maps[place] for maps in self._maps], target


def keeps(job: TrainJob, epoch: int) -> bool:
    """Whether there is anything to be kept from this epoch on, counted from 0."""
    return bool(job.options.cached_views) and epoch < _until(job)


def kept_batches(network: Any, data: ImageSet, job: TrainJob, split: str, photos: Dataset[Batch]) -> StemBatches:
    """Batches of a split that go through the backbone once, and not in each epoch.

    Args:
        network: Its backbone is frozen.
        data: The dataset.
        job: Its options say how many views are kept of the training split; they lie below its folder.
        split: train or validation.
        photos: Batches of the photos of that split.

    Raises:
        TrainingError: they cannot be written.
    """
    rows, options = data.rows(split), job.options
    names = [f"view-{view:03d}" for view in range(options.cached_views)] if split == "train" else [split]
    before = next(network.parameters()).device
    network.to(device_name(options.accelerator))
    with writing(job.folder):
        folders = [
            keep(network, photos, rows, view, job.folder / FOLDER / name, job) for view, name in enumerate(names)
        ]
    network.to(before)
    return StemBatches(folders, rows, photos, _until(job), job.seed)


def forget(job: TrainJob) -> None:
    """Remove what was kept."""
    shutil.rmtree(job.folder / FOLDER, ignore_errors=True)


def _until(job: TrainJob) -> int:
    """Epoch from which the backbone learns, counted from 0."""
    after = job.options.unfreeze_after
    return int(job.options.max_epochs if after is None else after)


def keep(network: Any, photos: Dataset[Batch], rows: NDArray[np.int64], view: int, folder: Path, job: TrainJob) -> Path:
    """Keep what the network's `stem` makes of each photo of a split, unless it is kept already.

    Args:
        network: On the device where it shall run; its backbone is frozen.
        photos: Batches of photos; `view` stands for the epoch that decides how they are changed.
        rows: The split's rows, ascending.
        folder: Where to; its name says what it is.
        job: Whose precision it is computed in.

    Returns:
        `folder`.

    Raises:
        OSError: it cannot be written, such as for want of room.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    maps: list[NDArray[np.float16]] = []
    boxes, labels, counts, done = [], [], [], 0
    for tensors, targets in _stems(network, photos, EpochBatches(rows, _AT_ONCE, None, view), job.options.precision):
        for number, tensor in enumerate(tensors):
            if len(maps) == number:
                shape = (len(rows), *tensor.shape[1:])
                path = temporary / f"maps-{number}.npy"
                maps.append(_with_room(path, shape))
            maps[number][done : done + len(tensor)] = tensor
        boxes += [target["boxes"].numpy() for target in targets]
        labels += [target["labels"].numpy() for target in targets]
        counts += [len(target["labels"]) for target in targets]
        done += len(targets)
        job.progress.update(f"backbone, {folder.name}", done, len(rows))
    np.save(temporary / "boxes.npy", np.concatenate(boxes))
    np.save(temporary / "labels.npy", np.concatenate(labels))
    np.save(temporary / "counts.npy", np.array(counts, np.int64))
    for one in maps:
        one.flush()
    sync_all(temporary)
    rename(temporary, folder)
    return folder


def _with_room(path: Path, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """An array in a new file, all of whose room is taken at once: on a full disk, a write to a page of it that has no
    room yet would be the end of the process, and not an error.

    Raises:
        OSError: there is no room for it.
    """
    found: NDArray[np.float16] = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    with open(path, "r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return found


def _stems(
    network: Any, photos: Dataset[Batch], plans: EpochBatches, precision: str
) -> Iterator[tuple[list[NDArray[np.float16]], list[dict[str, Tensor]]]]:
    """What the stem makes of each batch, channels last, and its targets."""
    device = next(network.parameters()).device
    mixed = precision_name(precision, device.type, photos=True).removesuffix("-mixed")
    kind = {"bf16": torch.bfloat16, "16": torch.float16}.get(mixed)
    network.eval()
    for plan in plans:
        batch = photos[plan]
        with torch.inference_mode(), torch.autocast(device.type, kind, enabled=kind is not None):
            found = network.stem(*(tensor.to(device) for tensor in batch.inputs))
            narrow = [one.permute(0, 2, 3, 1).clamp(-_LARGEST, _LARGEST).half().cpu().numpy() for one in found]
        yield narrow, batch.targets
