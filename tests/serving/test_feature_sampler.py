"""The sample of answers that are logged with their features."""

from __future__ import annotations

from es_recsys.serving.feature_sampler import ANSWERS_PER_SECOND, AT_ONCE, FeatureSampler


def test_few_answers_pass_all_and_many_are_sampled() -> None:
    now = [0.0]
    sampler = FeatureSampler(lambda: now[0])
    assert all(sampler.take() for _ in range(int(AT_ONCE)))
    assert not sampler.take()
    passed = 0
    for _ in range(10_000):
        now[0] += 0.01
        passed += sampler.take()
    assert abs(passed - 100 * ANSWERS_PER_SECOND) <= 1
    now[0] += 10_000.0
    assert sum(sampler.take() for _ in range(2 * int(AT_ONCE))) == AT_ONCE
