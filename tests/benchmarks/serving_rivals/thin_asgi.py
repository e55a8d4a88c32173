"""A thin ASGI app by hand: Starlette and uvicorn in one process, as many threads for the model as there are cores.

python thin_asgi.py BUNDLE PORT
"""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from onnx_model import OnnxModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

model = OnnxModel(Path(sys.argv[1]))
pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))


async def predict(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(await asyncio.get_running_loop().run_in_executor(pool, model.answer, body))


async def ready(request: Request) -> Response:
    return PlainTextResponse("ready")


app = Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/readyz", ready)])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=False, log_level="warning")
