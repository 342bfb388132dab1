"""A training in PyTorch has its own randomness, and on a GPU learns about what it learns on the processor."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from es_recsys import torch_training
from es_recsys.dataset import Interactions
from es_recsys.errors import ModelError
from es_recsys.models.sasrec import SASRec, SASRecConfig
from es_recsys.torch_training import host, place_on, training

CONFIG = SASRecConfig(dims=16, max_length=8, dropout=0.1, negatives=40, batch_events=512, epochs=8, patience=8)
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA finds no GPU here")


def steps(users: int = 200, things: int = 60) -> Interactions:
    """Everybody goes on from a thing to the next."""
    rng = np.random.default_rng(1)
    starts = rng.integers(things, size=users)
    return Interactions(
        user_ids=np.array([f"u{user:03}" for user in range(users)]),
        item_ids=np.array([f"i{item:03}" for item in range(things)]),
        users=np.repeat(np.arange(users, dtype=np.int32), 6),
        items=((starts[:, None] + np.arange(6)) % things).astype(np.int32).ravel(),
        weights=np.ones(users * 6, np.float32),
        times=np.tile(np.arange(6.0), users),
        timed=False,
    )


def drawn() -> tuple[float, ...]:
    with training("it", 3) as device:
        return tuple(torch.rand(4, device=device).tolist())


def test_a_training_is_seeded_and_leaves_the_callers_randomness_alone() -> None:
    torch.manual_seed(11)
    plain = torch.rand(2).tolist()
    torch.manual_seed(11)
    first = drawn()
    assert torch.rand(2).tolist() == plain
    assert first == drawn() and len(set(first)) == 4
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_array_goes_to_the_device_and_back() -> None:
    given = np.arange(6, dtype=np.float32).reshape(2, 3)
    with training("it", 0) as device:
        placed = place_on(device, given)
        assert placed.device.type == device.type
        assert np.array_equal(host(placed * 2.0), given * 2.0)


def test_the_processor_is_taken_where_cuda_shows_no_gpu() -> None:
    code = "from es_recsys.torch_training import training\nwith training('it', 0) as device: print(device)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert told.stdout.strip() == "cpu", told.stderr


@gpu
def test_a_gpu_learns_about_what_the_processor_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    def learned(config: SASRecConfig) -> np.ndarray:
        return SASRec(config).fit(steps(), np.random.default_rng(0)).item_vectors

    # Without dropout nothing is drawn on the device.
    still = replace(CONFIG, dropout=0.0, epochs=1)
    fast = learned(still)
    assert np.array_equal(learned(CONFIG), learned(CONFIG))
    monkeypatch.setattr(torch_training.torch.cuda, "is_available", lambda: False)
    assert np.abs(fast - learned(still)).max() < 1e-3


@gpu
def test_too_small_a_gpu_is_named() -> None:
    with pytest.raises(ModelError, match="too small to train it") as error, training("it", 0) as device:
        torch.empty(2**44, device=device)
    assert "CUDA_VISIBLE_DEVICES" in str(error.value.remedy)
    assert not torch.are_deterministic_algorithms_enabled()
