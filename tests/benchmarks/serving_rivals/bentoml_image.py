"""A BentoML service by hand, with BentoML's own image descriptor, over ONNX Runtime; one worker for each core.

RIVAL_BUNDLE=... bentoml serve bentoml_image:service
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
from onnx_model import OnnxModel
from PIL import Image


@bentoml.service(name="image", workers=len(os.sched_getaffinity(0)), logging={"access": {"enabled": False}})
class ImageService:
    def __init__(self) -> None:
        self.model = OnnxModel(Path(os.environ["RIVAL_BUNDLE"]))

    @bentoml.api
    def predict(self, image: Image.Image, /) -> dict[str, Any]:
        return self.model.photo(image.convert("RGB"))


service = ImageService
