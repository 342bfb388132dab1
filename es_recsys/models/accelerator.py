"""Where a training in PyTorch runs: on the GPU where CUDA has one, else on the processor. Only training imports this."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from es_recsys.errors import ModelError

__all__ = ["host", "place_on", "training"]


@contextmanager
def training(name: str, seed: int) -> Iterator[torch.device]:
    """The device for a training of the model `name`, its randomness seeded; the caller's random numbers are as before, after
    it.

    A GPU sums in an order of its own and gives other last digits than the processor, but the same ones for a seed: only
    deterministic algorithms are let run there. CUDA_VISIBLE_DEVICES, CUDA's own variable, says which GPU, and empty, that
    none is to be used. Raises ModelError where the GPU's memory is too small.
    """
    if not torch.cuda.is_available():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield torch.device("cpu")
        return
    # Read by cuBLAS when it is first used; without it, its sums differ from call to call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[torch.cuda.current_device()]):
            torch.manual_seed(seed)
            yield torch.device("cuda")
    except torch.cuda.OutOfMemoryError as error:
        raise ModelError(
            f"The memory of the GPU is too small to train {name}.",
            "Free it, or set CUDA_VISIBLE_DEVICES to nothing to train on the processor.",
        ) from error
    finally:
        torch.use_deterministic_algorithms(before)


def place_on(device: torch.device, array: NDArray[Any]) -> Tensor:
    """The array as a tensor on the device; on the processor it is the same memory."""
    return torch.from_numpy(array).to(device)


def host(tensor: Tensor) -> NDArray[Any]:
    """The tensor as an array; on the processor it is the same memory."""
    array: NDArray[Any] = tensor.cpu().numpy()
    return array
