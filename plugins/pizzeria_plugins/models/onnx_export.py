"""PyTorch to ONNX: quietly, as one file, and never half-written."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from pizzeria.atomic import write_bytes

OPSET = 18


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network with what a trainer left in `model.safetensors`, and make it ready to answer."""
    from safetensors.torch import load_file

    network.load_state_dict(load_file(path))
    network.eval()


def trace(
    network: nn.Module,
    example: tuple[Tensor, ...],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    batch: bool = False,
) -> onnx.ModelProto:
    """Export a network.

    Args:
        network: In evaluation mode.
        example: One tensor for each input.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        batch: Whether the first dimension of every input is free.
    """
    shapes = torch.export.ShapesCollection()  # by tensor, so that a network may take any number of them
    for tensor in example if batch else ():
        shapes[tensor] = {0: torch.export.Dim("batch", min=1)}
    with _quiet():
        program = torch.onnx.export(
            network,
            example,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=shapes if batch else None,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def save(model: onnx.ModelProto, path: Path) -> None:
    """Check a model, and write it in one step."""
    onnx.checker.check_model(model)
    write_bytes(path, model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints its steps and warns of its own internals; nothing of that concerns a user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
