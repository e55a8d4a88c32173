"""A LitServe service by hand, with batching, over ONNX Runtime; one inference process for each core.

python litserve_batched.py BUNDLE PORT
"""

import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import litserve
import numpy as np
from fastapi import Request
from onnx_model import OnnxModel
from PIL import Image


class Photos(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = OnnxModel(Path(sys.argv[1]))

    def decode_request(self, request: Request) -> Any:
        return self.model.pixels(Image.open(BytesIO(request["photo"].file.read())).convert("RGB"))

    def predict(self, batch: Any) -> Any:
        return self.model.probabilities({"images": np.asarray(batch)})

    def encode_response(self, output: Any) -> Any:
        return self.model.ranked(np.asarray(output)[None])[0]


if __name__ == "__main__":
    server = litserve.LitServer(
        Photos(max_batch_size=8, batch_timeout=0.005),
        accelerator="cpu",
        devices=1,
        workers_per_device=len(os.sched_getaffinity(0)),
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False, log_level="warning"
    )
