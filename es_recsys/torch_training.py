"""Devices, epochs and checkpoints of all trainings in PyTorch.

Only training imports this.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from es_recsys import artefact
from es_recsys.errors import ModelError

__all__ = ["Checkpoint", "host", "place_on", "run_epochs", "training"]


@contextmanager
def training(name: str, seed: int) -> Iterator[torch.device]:
    """Yield the device for a training of the model `name`, with seeded randomness.

    The caller's random numbers are as before after it.

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
    """Return the array as a tensor on the device; on the processor it is the same memory."""
    return torch.from_numpy(array).to(device)


def host(tensor: Tensor) -> NDArray[Any]:
    """Return the tensor as an array; on the processor it is the same memory."""
    array: NDArray[Any] = tensor.cpu().numpy()
    return array


@dataclass(slots=True)
class _State:
    """State of a training after an epoch.

    epoch: how many are done. score: the best so far; stale: epochs since then. best: the parameters then, by name;
    now: those of the last epoch and the optimiser's moments, where a training is to go on.
    """

    epoch: int = 0
    score: float = -1.0
    stale: int = 0
    best: dict[str, NDArray[Any]] = field(default_factory=dict)
    now: dict[str, NDArray[Any]] = field(default_factory=dict)

    def reached(self, score: float | None, network: nn.Module) -> None:
        """Count an epoch.

        score: None where nothing validates; then the last epoch is the best.
        """
        self.epoch += 1
        if score is None or score > self.score:
            self.score, self.stale = -1.0 if score is None else score, 0
            self.best = {name: host(value).copy() for name, value in network.state_dict().items()}
        else:
            self.stale += 1

    def give_best(self, network: nn.Module) -> None:
        """Put the best parameters into the network."""
        if self.best:
            network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in self.best.items()})


class Checkpoint:
    """Checkpoint of a training on disk.

    A folder `name` inside `folder` (None: nothing is kept). key: JSON values that name the training; what another one
    has left there is not gone on with.
    """

    def __init__(self, folder: Path | None, name: str, key: Mapping[str, Any]) -> None:
        self._folder = None if folder is None else Path(folder) / name
        self._name, self._key = f"{name} checkpoint", dict(key)

    def load(self) -> _State:
        """Return the state as kept, or that of a beginning."""
        if self._folder is None:
            return _State()
        try:
            saved = artefact.load(self._folder, self._name)
        except ModelError:
            return _State()
        if saved.params.get("key") != self._key:
            return _State()
        best = {name[5:]: array for name, array in saved.arrays.items() if name.startswith("best.")}
        now = {name[4:]: array for name, array in saved.arrays.items() if name.startswith("now.")}
        return _State(int(saved.params["epoch"]), float(saved.params["score"]), int(saved.params["stale"]), best, now)

    def save(self, state: _State, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Keep the state and what the network and the optimiser hold.

        Raises ModelError where it can't be written.
        """
        if self._folder is None:
            return
        arrays = {f"best.{name}": array for name, array in state.best.items()}
        arrays |= {f"now.{name}": host(value) for name, value in network.state_dict().items()}
        for place, moments in optimiser.state_dict()["state"].items():
            arrays |= {f"now.moment {place} {name}": host(value) for name, value in moments.items()}
        params = {"key": self._key, "epoch": state.epoch, "score": state.score, "stale": state.stale}
        artefact.save(self._folder, self._name, params, arrays)

    def remove(self) -> None:
        """Remove the checkpoint of a training that has ended."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def run_epochs(
    epoch: Callable[[int], tuple[Mapping[str, float], float | None]],
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    checkpoint: Checkpoint,
    *,
    epochs: int,
    patience: int,
    seed: int,
    deadline: float,
    report: Callable[[int, int, Mapping[str, float]], None],
    proceed: Callable[[], bool] = lambda: True,
) -> int:
    """Train on from the checkpoint, give the network the parameters of its best epoch, and return after how many epochs that was.

    epoch(number): learns once from all data, with PyTorch's randomness seeded by the number, so that a training that was
    interrupted learns what it would have learned in one go; returns what was measured, and the quality, None where nothing
    validates. epochs: how many at most; patience: how many without a gain; deadline: `time.process_time` seconds after which none
    begins. report(done, epochs, measured): called after each. proceed(): asked before each whether it is wanted.
    """
    state = checkpoint.load()
    _restore(network, optimiser, state)
    while state.epoch < epochs and state.stale < patience and time.process_time() < deadline and proceed():
        torch.manual_seed(seed + state.epoch)
        metrics, quality = epoch(state.epoch)
        state.reached(quality, network)
        checkpoint.save(state, network, optimiser)
        report(state.epoch, epochs, metrics)
    state.give_best(network)
    return state.epoch - state.stale


def _restore(network: nn.Module, optimiser: torch.optim.Optimizer, state: _State) -> None:
    """Put what `now` holds into the network and the optimiser."""
    if not state.now:
        return
    values = {name: torch.from_numpy(np.array(array)) for name, array in state.now.items()}
    network.load_state_dict({name: value for name, value in values.items() if not name.startswith("moment ")})
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in values.items():
        if name.startswith("moment "):
            _, place, moment = name.split(" ")
            moments.setdefault(int(place), {})[moment] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
