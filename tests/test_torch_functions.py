"""Dropout by bytes and the softmax over shared candidates against PyTorch's own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from es_recsys.torch_functions import dropout, logsumexp_of_candidates  # noqa: E402


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_dropout_drops_the_share_and_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(301, 333, requires_grad=True)
    found = dropout(x, share)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert (found == 0).float().mean().item() == pytest.approx(share, abs=0.005)
    assert found.mean().item() == pytest.approx(1.0, abs=0.05)
    assert len(torch.unique(found)) == 2
    assert torch.equal(x.grad, found.detach())


def test_dropout_draws_from_the_seed_and_nothing_where_there_is_nothing_to_drop() -> None:
    x = torch.randn(7, 5)
    torch.manual_seed(3)
    first = dropout(x, 0.5)
    assert not torch.equal(dropout(x, 0.5), first)
    torch.manual_seed(3)
    assert torch.equal(dropout(x, 0.5), first)
    assert dropout(x, 0.0) is x
    assert not dropout(x, 1.0).any()


def test_logsumexp_of_candidates_and_its_gradients_are_those_of_pytorch() -> None:
    torch.manual_seed(0)
    states, candidates = torch.randn(6, 4, dtype=torch.float64) * 20.0, torch.randn(9, 4, dtype=torch.float64)
    corrections, excluded = torch.randn(9, dtype=torch.float64), torch.rand(6, 9) < 0.3
    excluded[0] = True
    weights = torch.randn(6, dtype=torch.float64)
    weights[0] = 0.0  # where nothing is left, nothing is learned
    results = []
    for own in (True, False):
        one, two = states.clone().requires_grad_(), candidates.clone().requires_grad_()
        if own:
            found = logsumexp_of_candidates(one, two, corrections, excluded)
        else:
            found = torch.logsumexp((one @ two.T + corrections).masked_fill(excluded, -1e4), dim=1)
        (found * weights).sum().backward()
        results.append((found.detach(), one.grad, two.grad))
    for value, expected in zip(*results, strict=True):
        assert torch.allclose(value, expected)
