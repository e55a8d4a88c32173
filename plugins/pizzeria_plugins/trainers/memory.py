"""Out of memory: known by what the allocators say."""

from __future__ import annotations

import gc

import torch

from pizzeria_plugins.trainers.allocator import trim

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


def release() -> None:
    """Give back what nobody needs any more; call it when the error, which holds the tensors, is gone."""
    gc.collect()
    trim()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
