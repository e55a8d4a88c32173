"""Photos as a frozen timm backbone sees them: one embedding for each, made once and kept by content.

Backbone, weights, size and pooling stand in the `model` section (`timm_probe`), which exports the same backbone. Photos
are decoded and resized as by the features `photos`, through the same cache. Nothing is fitted, so no split can leak
into another; the backbone runs in float32 on the CPU.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.inference.predictor import usable_cores
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.features import photos
from pizzeria_plugins.features.label_noise import candidates
from pizzeria_plugins.features.naming import splits_of
from pizzeria_plugins.features.pack_cache import Made, PackCache, Place, prune, stacked
from pizzeria_plugins.features.photo_cache import content_of, resized, way_of
from pizzeria_plugins.models.weights import files as files_of_weights

if TYPE_CHECKING:
    import pandas as pd

    from pizzeria_plugins.models.backbone import Embedder

TASKS = frozenset({"image_classification", "multilabel_classification"})
GIVES = "embeddings"
MODEL_OPTIONS = ("backbone", "image_size", "weights", "pooling")
KIND = "embeddings"
"""Name of the folder of the cache."""
_AT_ONCE = 256


class Options(photos.Options):
    """Options of the `embeddings` features; backbone, weights, image_size and pooling are the model's."""

    batch_size: int = Field(default=16, ge=1, le=1024, description="Photos that the backbone sees at once.")


def inputs(model: Mapping[str, Any]) -> Sequence[Path]:
    """The file of weights, where there is one."""
    return files_of_weights(model.get("weights"))


def build(
    options: Options,
    problem: Problem,
    tables: Tables,
    splits: pd.Series[str],
    model: Mapping[str, Any],
    folder: Path,
    progress: Progress,
) -> None:
    """Write what `pizzeria.datasets.open_dataset` opens as an `EmbeddingSet`.

    Where each photo has one class, also `label_noise.parquet`: the photos whose label is probably wrong, of all splits.
    Nothing is changed by it; the report shows them.

    Args:
        options: See `Options`.
        problem: Its classes give labels their index.
        tables: `images`.
        splits: By image_id: train, validation or test.
        model: The options in `MODEL_OPTIONS`.
        folder: Where to write; exists.
        progress: Told of each photo that the backbone sees.

    Raises:
        DataError: a photo cannot be decoded, a label is none of the classes, an image is in no split, or the model
            names no backbone; names the files or rows.
        PluginError: timm has no such backbone or pooling.
        TrainingError: the weights cannot be read.
    """
    import pandas as pd

    images = tables.images
    if images is None or images.empty:
        raise DataError("there are no images to make features of", hint="use a source that brings an images table")
    if model.get("backbone") is None or model.get("image_size") is None:
        raise DataError("the model names no backbone", hint="use a model that learns from embeddings: timm_probe")
    split, targets = splits_of(images["image_id"], splits), photos.labels_of(images, problem)
    preprocessing = photos.preprocessing_of(options, problem, int(model["image_size"]))
    content = content_of(images, progress)
    found = embedded(images["path"].astype(str).tolist(), content, preprocessing, model, options, progress)
    index = pd.DataFrame({"image_id": images["image_id"].astype(str).tolist(), "split": split, "sha256": content})
    index["path"] = images["path"].astype(str).tolist()
    if problem.task == "image_classification":
        doubted = candidates(found, targets, len(problem.classes), index["sha256"].to_numpy())
        doubted["image_id"] = index["image_id"].to_numpy()[doubted["row"]]
        for name in ("given", "suggested"):
            doubted[name] = [problem.classes[code] for code in doubted[name]]
        doubted.to_parquet(folder / "label_noise.parquet", index=False)
    np.save(folder / "embeddings.npy", found)
    np.save(folder / "targets.npy", targets)
    index.to_parquet(folder / "index.parquet", index=False)
    text = json.dumps(preprocessing | {"embedding": found.shape[1]}, indent=2)
    (folder / "preprocessing.json").write_text(text)


def embedded(
    paths: Sequence[str],
    content: Sequence[str],
    preprocessing: Mapping[str, Any],
    model: Mapping[str, Any],
    options: Options,
    progress: Progress,
) -> NDArray[np.float32]:
    """float32 [N, E]: the embedding of each photo; what is not in the cache is made first."""
    if model["weights"] is None:
        progress.say(
            "model.weights is null: a backbone of random weights says little of photos; give a file of weights"
        )
    network = _Network(model)
    shelf = PackCache(KIND, way_of(preprocessing) | network.identity(), progress)
    before = shelf.find(content)
    path_of = {key: path for key, path in zip(content, paths, strict=True) if key not in before}
    new = list(path_of)
    pixels = resized(list(path_of.values()), new, preprocessing, options.max_megapixels, progress) if new else []
    place_of = dict(zip(new, pixels, strict=True))
    seen = 0

    def make(keys: Sequence[str]) -> Made:
        nonlocal seen
        cuts = range(0, len(keys), options.batch_size)
        batches = [[place_of[key] for key in keys[start : start + options.batch_size]] for start in cuts]
        parts = []
        for part in network.all_of(batches):
            parts.append(part)
            seen += len(part)
            progress.update("embeddings", seen, max(seen, len(new)))
        return Made(keys, np.concatenate(parts), [{}] * len(keys))

    places = shelf.fill(content, _AT_ONCE, make)
    if before:
        progress.say(f"embeddings: {len(new)} photos seen, {len(before)} from the cache")
    prune(KIND)
    return stacked([places[key] for key in content])


class _Network:
    """The backbone, built when it is first needed: where all is in the cache, its file is only read."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self._model = model
        self._built: Embedder | None = None

    def identity(self) -> dict[str, Any]:
        """All that decides an embedding but the photo's pixels; random weights go by the library that draws them."""
        from importlib.metadata import version

        model = self._model
        found = {name: model[name] for name in ("backbone", "image_size", "pooling")} | {"timm": version("timm")}
        if model["weights"] is None:
            return found | {"weights": f"random, torch {version('torch')}"}
        paths = files_of_weights(model["weights"])
        if paths and paths[0].is_file():
            with open(paths[0], "rb") as stream:
                return found | {"weights": hashlib.file_digest(stream, "sha256").hexdigest()}
        return found | {"weights": _hash_of(self._network())}

    def all_of(self, batches: Sequence[Sequence[Place]]) -> Iterator[NDArray[np.float32]]:
        """The embeddings [n, E] of the photos of each batch, in order.

        Each core has a batch of its own: threads that share one wait for each other, most of all where others use the
        cores as well.
        """
        import torch

        network = self._network()

        def one(batch: Sequence[Place]) -> NDArray[np.float32]:
            found: NDArray[np.float32] = network(torch.from_numpy(stacked(batch))).numpy()
            return found

        with ThreadPoolExecutor(usable_cores(), initializer=lambda: torch.set_num_threads(1)) as pool:
            try:
                yield from pool.map(one, batches)
            except BaseException:  # Ctrl-C: do not look at the rest first
                pool.shutdown(cancel_futures=True)
                raise

    def _network(self) -> Embedder:
        if self._built is None:
            import torch

            from pizzeria_plugins.models.backbone import Embedder

            model = self._model
            network = Embedder(model["backbone"], model["image_size"], model["weights"], model["pooling"])
            self._built = network.to(memory_format=torch.channels_last)
        return self._built


def _hash_of(network: Embedder) -> str:
    found = hashlib.sha256()
    for name, value in network.state_dict().items():
        found.update(name.encode())
        found.update(np.ascontiguousarray(value.numpy()).tobytes())
    return found.hexdigest()
