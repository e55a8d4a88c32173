"""A BentoML service by hand over PyTorch: the timm model as it came from training; one worker for each core.

RIVAL_BUNDLE=... RIVAL_WEIGHTS=... bentoml serve bentoml_torch:service
"""

from __future__ import annotations

import json
import os
from typing import Any

import bentoml
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from timm.data import resolve_model_data_config
from torchvision.transforms import v2


@bentoml.service(name="torch", workers=len(os.sched_getaffinity(0)), logging={"access": {"enabled": False}})
class TorchService:
    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.classes = json.loads(os.environ["RIVAL_CLASSES"])
        self.model = timm.create_model(os.environ["RIVAL_BACKBONE"], num_classes=len(self.classes))
        weights = load_file(os.environ["RIVAL_WEIGHTS"])
        self.model.load_state_dict(
            {key.removeprefix("body."): value for key, value in weights.items() if key.startswith("body.")}
        )
        self.model.eval().to(memory_format=torch.channels_last)
        how = resolve_model_data_config(self.model)
        self.side = how["input_size"][1]
        self.transform = v2.Compose(
            [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(how["mean"], how["std"])]
        )

    @bentoml.api
    def predict(self, image: Image.Image, /) -> dict[str, Any]:
        edge = min(image.size)
        left, top = (image.width - edge) / 2, (image.height - edge) / 2
        middle = (left, top, left + edge, top + edge)
        small = image.convert("RGB").resize((self.side, self.side), Image.Resampling.BILINEAR, box=middle)
        with torch.inference_mode():
            photo = self.transform(small)[None].contiguous(memory_format=torch.channels_last)
            found = self.model(photo).softmax(1)[0].tolist()
        best = max(range(len(found)), key=found.__getitem__)
        return {
            "class": self.classes[best],
            "probability": round(found[best], 6),
            "probabilities": {name: round(p, 6) for name, p in zip(self.classes, found, strict=True)},
        }


service = TorchService
