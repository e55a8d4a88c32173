"""Out of memory: known by what the allocators say, and answered by smaller parts of a batch."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from pizzeria.errors import TrainingError
from pizzeria_plugins.trainers.allocator import give_back
from pizzeria_plugins.trainers.plan import Batch

Found = TypeVar("Found")

_SAID = (
    *("can't allocate memory", "not enough memory", "out of memory", "bad_alloc"),
    *("could not create a primitive", "could not create a memory"),
)
"""Parts of the messages of PyTorch's allocators, the C++ library's and oneDNN's, which all come as RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was too small, on a GPU or on the CPU.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("mat1 and mat2 do not fit"))
        (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


@dataclass
class Portions:
    """Takes batches through a network in as many parts as memory asks for.

    Attributes:
        parts: In how many; grows when memory is too small.
        say: Told when it does.
        note: What to add to that.
        alone: Whether no other process shares the batches, which would have to know.
    """

    parts: int
    say: Callable[[str], object]
    note: str = ""
    alone: bool = True

    def of(self, batch: Batch, work: Callable[[Sequence[Batch]], Found]) -> Found:
        """What `work` makes of the parts of a batch; it is called again, with smaller ones, until memory is enough.

        Raises:
            TrainingError: there is too little for one row at a time.
        """
        again = False
        while True:
            try:
                return work(batch.parts(self.parts))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error).partition("\n")[0]
            release()
            if again:  # what had been kept for later was not it
                self._halve(len(batch.inputs[0]), said)
            again = not again

    def _halve(self, size: int, said: str) -> None:
        at_once = -(-size // self.parts)
        if at_once == 1:
            raise TrainingError(
                f"out of memory with one row of a batch at a time: {said}",
                hint="choose a smaller model or model.image_size",
            )
        if not self.alone:
            raise TrainingError(
                f"out of memory with {at_once} of a batch of {size} at a time",
                hint=f"workers change nothing on their own: write training.accumulate: {2 * self.parts}",
            )
        self.parts = min(2 * self.parts, size)
        self.say(
            f"out of memory: each batch of {size} goes through the network in {self.parts} parts from now on{self.note}"
        )


def release() -> None:
    """Give back what nobody needs any more; call it when the error, which holds the tensors, is gone."""
    gc.collect()
    give_back()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
