"""Photos: of a prediction, as the log keeps it, and of the data that the model was tested on.

Each is decoded and written anew as a small JPEG, so that nothing that a client has sent reaches the browser as it came.
"""

from __future__ import annotations

import io
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from pizzeria import registry
from pizzeria.deployments import log_folder
from pizzeria.errors import NotFoundError
from pizzeria.ui.shop import shop_of

_SIDE = 420
_LONGEST_ID = 300


def logged(request: Request) -> Response:
    """The photo of a prediction: `?id=`."""
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    id = _id(request)
    run = request.query_params.get("run", "") or (project.champion.run if project.champion else "")
    log = shop.spec_of(project, run).serving.log
    if log is None or not log.photos:
        raise NotFoundError("the prediction log keeps no photos", hint="serving.log.photos: true keeps them")
    plugin = registry.load("prediction_logs", log.use)
    data = plugin.photo(log.options, log_folder(shop.store, project.name), id)
    return _small(data, id)


def reference(request: Request) -> Response:
    """A photo of the reference, by the run and its id there: `?run=&id=`."""
    import pyarrow.parquet as pq

    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    id = _id(request)
    run = shop.run(project.name, request.query_params.get("run", ""))
    folder = shop.store.root / run.id / "stages" / "collect"
    file = folder / "images.parquet"
    found = []
    if file.exists():
        found = pq.read_table(file, columns=["path"], filters=[("image_id", "=", id)])["path"].to_pylist()
    path = folder / Path(found[0]) if found else None
    return _small(path.read_bytes() if path is not None and path.is_file() else None, id)


def _id(request: Request) -> str:
    id = request.query_params.get("id", "")
    if not id or len(id) > _LONGEST_ID or "\0" in id:
        raise NotFoundError("no photo is asked for", hint="the address ends with ?id=")
    return id


def _small(data: bytes | None, id: str) -> Response:
    from PIL import Image, ImageOps

    if data is not None:
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.draft("RGB", (_SIDE * 2, _SIDE * 2))
                small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            data = None
    if data is None:
        raise NotFoundError(f"there is no photo {id!r}, or it cannot be decoded")
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=80)
    return Response(stream.getvalue(), media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})
