"""What bfloat16 brings on a CPU, and which layers should stay in float32: `python tests/benchmarks/bfloat16.py`.

One training step (forward, loss, backward) of the FCOS detector on 16 photos of 256 px, in CPU seconds of one thread,
so that what else runs on the machine matters little; the least of three. Then the backward pass of single depthwise
convolutions. Writes docs/performance.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from serving_page import PAGE, circumstances, write_section
from torch import Tensor, nn
from torch.nn import functional

from pizzeria.spec.problem import Problem
from pizzeria_plugins.models import timm_detector
from pizzeria_plugins.trainers.bfloat16 import cpu_has_bfloat16, keep_slow_layers_wide

BACKBONES = ("tf_efficientnet_lite0", "mobilenetv2_100", "mobilenetv3_small_100", "resnet18")
PHOTOS, SIZE = 16, 256
LAYERS = {
    "3 x 3, 144 channels, 64 px": (144, 64, 3, 1),
    "3 x 3, stride 2, 96 channels, 128 px": (96, 128, 3, 2),
    "5 x 5, stride 2, 144 channels, 64 px": (144, 64, 5, 2),
    "5 x 5, 240 channels, 32 px": (240, 32, 5, 1),
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    said = circumstances(("torch", "timm"), wrk=False)
    lines = [said, "", f"The CPU {'has' if cpu_has_bfloat16() else 'has no'} bfloat16.", ""]
    lines += [
        "| backbone | float32, s | bfloat16, all of it | bfloat16, as we do | float32 / ours |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in BACKBONES:
        wide, narrow, ours = (
            step(name, narrow, kept) for narrow, kept in ((False, False), (True, False), (True, True))
        )
        lines.append(f"| {name} | {wide:.2f} | {narrow:.2f} | {ours:.2f} | {wide / ours:.2f} |")
    lines += ["", "| depthwise convolution, backward, 8 photos | float32, ms | bfloat16, ms |", "|---|---:|---:|"]
    for name, shape in LAYERS.items():
        lines.append(
            f"| {name} | {1000 * backward(*shape, torch.float32):.0f} | {1000 * backward(*shape, torch.bfloat16):.0f} |"
        )
    write_section(PAGE, "bfloat16", "\n".join(lines))


def step(backbone: str, narrow: bool, kept: bool) -> float:
    """CPU seconds of one training step."""
    problem = Problem(
        need="figures", owner="benchmarks", task="object_detection", classes=tuple("abcdefghijk"),
        success=({"metric": "map_50", "at_least": 0},),
    )  # fmt: skip
    options = timm_detector.Options(backbone=backbone, image_size=SIZE)
    network = timm_detector.build(options, problem, {"size": [SIZE, SIZE]}, pretrained=False).train()
    if kept:
        keep_slow_layers_wide(network)
    images = torch.randint(0, 255, (PHOTOS, SIZE, SIZE, 3), dtype=torch.uint8)
    boxes = torch.tensor([[10.0, 10, 100, 100], [50, 60, 200, 220], [5, 5, 40, 40]])
    targets = [{"boxes": boxes, "labels": torch.tensor([1, 2, 3])}] * PHOTOS

    def once() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            losses = network.loss(network(images), targets)
        torch.stack(list(losses.values())).sum().backward()

    return least(once)


def backward(channels: int, side: int, kernel: int, stride: int, dtype: torch.dtype) -> float:
    """CPU seconds of the backward pass of one depthwise convolution."""

    def made(*shape: int) -> Tensor:
        return torch.randn(shape).to(dtype).to(memory_format=torch.channels_last).requires_grad_()

    images, weights = made(8, channels, side, side), nn.Parameter(made(channels, 1, kernel, kernel))
    found = functional.conv2d(images, weights, None, stride, kernel // 2, groups=channels)
    gradient = torch.ones_like(found)
    return least(lambda: found.backward(gradient, retain_graph=True))


def least(work: Callable[[], object]) -> float:
    """CPU seconds of the quickest of three calls, after one that warms up."""
    work()
    seconds = []
    for _ in range(3):
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)
    return min(seconds)


if __name__ == "__main__":
    main()
