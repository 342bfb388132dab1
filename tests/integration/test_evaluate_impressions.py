"""Impressions in MIND's form, loaded by the format's name and evaluated through the served ranking of what was shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from command_line import environment

from es_recsys import Client
from es_recsys.cli import main
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

TOPICS = ("sports", "finance", "travel")
NEWS = 60
USERS = 30


def write_mind(folder: Path) -> tuple[Path, Path]:
    """News of three topics, and people who read of one each: of five articles shown they click the one of their topic."""
    chance = Random(3)
    topic = {f"N{i}": TOPICS[i % len(TOPICS)] for i in range(NEWS)}
    news, behaviors = folder / "news.tsv", folder / "behaviors.tsv"
    news.write_text(
        "".join(f"{one}\t{name}\t{name}_x\tArticle {one}\t\thttps://example.org\t[]\t[]\n" for one, name in topic.items())
    )
    lines = []
    for user in range(USERS):
        liked = TOPICS[user % len(TOPICS)]
        own, others = ([one for one, name in topic.items() if (name == liked) == mine] for mine in (True, False))
        history = " ".join(chance.sample(own, 6))
        for day in (11, 12, 13, 14, 15):
            shown = [(f"{chance.choice(own)}", 1), *((one, 0) for one in chance.sample(others, 4))]
            chance.shuffle(shown)
            candidates = " ".join(f"{one}-{clicked}" for one, clicked in shown)
            lines.append(f"{len(lines)}\tU{user}\t11/{day}/2019 {1 + user % 11}:05:58 AM\t{history}\t{candidates}\n")
    behaviors.write_text("".join(lines))
    return news, behaviors


def test_metrics_by_impression_on_the_form_of_mind(
    module_settings: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = module_settings()
    news, behaviors = write_mind(tmp_path)
    with Client(settings=settings) as client:
        client.load_items(news, format="mind")
        loaded = client.load_events(behaviors, format="mind")
        assert loaded.loaded.added == USERS * (6 + 5 * 6)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    out = tmp_path / "found.json"
    monkeypatch.setattr(
        sys, "argv", ["es-recsys", "evaluate", "covisitation", "--split", "impression", "--out", str(out), "--json"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr().out
    assert not ended.value.code
    found = json.loads(printed)
    assert found == json.loads(out.read_text())
    assert (found["kind"], found["impressions"], found["users"], found["shown"]) == ("impressions", 30, 30, 5.0)
    rankings = {one["name"]: one for one in found["rankings"]}
    served, neutral = rankings["served"]["figures"], rankings["served, neutral"]["figures"]
    assert set(served) == {"AUC", "MRR", "NDCG@5", "NDCG@10"}
    assert served["AUC"]["mean"] > 0.9 > neutral["AUC"]["mean"]
    assert rankings["served, neutral"]["p"]["AUC"] < 0.05
    assert abs(rankings["as shown"]["figures"]["AUC"]["mean"] - 0.5) < 0.2
    with Client(settings=settings) as client:
        assert not client.workspace.es.indices.get(index=f"{settings.index}_evaluation_*")
