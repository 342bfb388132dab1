"""Learned ranking on a real engine: from judgments and from what people did, into service, and out of it where it is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from es_recsys import Answer, Client, Event, Query, Settings
from es_recsys.errors import InputError
from es_recsys.jobs.load_items import load_items
from es_recsys.query import Hit
from es_recsys.sample import SampleStore
from es_recsys.search.exploration import COLD_START_RANK
from es_recsys.serving.snapshot_cache import ranking_folder
from es_recsys.training import retrain_ranking as ranking_due
from es_recsys.training.lambdamart import LambdaMARTConfig
from es_recsys.training.retrain_ranking import train_ranking_if_needed
from es_recsys.training.train_ranking import RankingReport, train_ranking
from es_recsys.training.training_record import training_lock

pytestmark = pytest.mark.engine
pytest.importorskip("lightgbm")

SMALL = LambdaMARTConfig(trees=40, steps=2, num_leaves=7, max_depth=4, learning_rate=0.15, min_data_in_leaf=10, folds=3)


@pytest.fixture(scope="module")
def client(
    module_settings: Callable[..., Settings], sample: SampleStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "items.jsonl").write_text("".join(item.model_dump_json(exclude={"image"}) + "\n" for item in sample.items))
    with Client(settings=module_settings()) as client:
        load_items(client.workspace, [folder / "items.jsonl"])
        yield client


@pytest.fixture(scope="module")
def queries(sample: SampleStore) -> list[str]:
    kinds = sorted({item.categories[-1] for item in sample.items})
    words = sorted({word for item in sample.items for word in item.tags})
    return [*kinds, *(f"{kind} {word}" for kind in kinds[:12] for word in words[:10])]


@pytest.fixture(scope="module")
def prices(sample: SampleStore) -> dict[str, float]:
    return {item.item_id: float(item.price or 0.0) for item in sample.items}


def ask(client: Client, queries: list[str], n: int = 10, **options: object) -> list[Answer]:
    found = list(client.execute_many(Query(text=query, n=n, **options) for query in queries))  # type: ignore[arg-type]
    assert all(isinstance(answer, Answer) for answer in found)
    return [answer for answer in found if isinstance(answer, Answer)]


def cheapest_first(answers: list[Answer], prices: dict[str, float]) -> float:
    """How often a hit is cheaper than the one after it, by chance about half."""
    pairs = [(one, other) for answer in answers for one, other in zip(answer.hits[:-1], answer.hits[1:], strict=True)]
    return float(np.mean([prices[one.item_id] < prices[other.item_id] for one, other in pairs]))


def check(hits: tuple[Hit, ...]) -> None:
    for hit in hits:
        assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9)


def test_too_little_is_refused(client: Client, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="query_id"):
        train_ranking(client.workspace)
    file = tmp_path / "few.jsonl"
    file.write_text('{"query": "shoes", "item_id": "x", "grade": 1}\n')
    with pytest.raises(InputError, match="at least 20"):
        train_ranking(client.workspace, file)


def test_judgments_change_the_order_and_a_lost_ranking_changes_it_back(
    client: Client, queries: list[str], prices: dict[str, float], tmp_path: Path
) -> None:
    before = ask(client, queries, n=20)
    lines = []
    for query, answer in zip(queries, before, strict=True):
        cheap = sorted((hit.item_id for hit in answer.hits), key=prices.__getitem__)[:4]
        lines += [json.dumps({"query": query, "item_id": item_id, "grade": 1}) + "\n" for item_id in cheap]
    file = tmp_path / "judgments.jsonl"
    file.write_text("".join(lines))
    report = train_ranking(client.workspace, file, trees=SMALL)
    (outcome,) = report.outcomes
    assert outcome.kept and outcome.after > outcome.before + 0.1 and outcome.p < 0.01
    assert outcome.gain.low > 0 and "price" in outcome.importances
    assert "served from now on" in "\n".join(report.lines())
    json.dumps(report.to_dict())

    after = ask(client, queries, n=20)
    assert cheapest_first(after, prices) > cheapest_first(before, prices) + 0.1
    for answer in after:
        assert not answer.ranking.degraded
        check(answer.hits)
    explained = client.search(queries[0], explain=True)
    assert {"price", "base"} <= set(explained.hits[0].parts)
    paged = [hit.item_id for offset in (0, 5, 10) for hit in client.search(queries[0], n=5, offset=offset).hits]
    assert paged == [hit.item_id for hit in client.search(queries[0], n=15).hits]
    left = explained.hits[0].item_id
    assert left not in {hit.item_id for hit in client.search(queries[0], exclude=[left], n=50).hits}

    with Client(settings=client.settings) as another:
        metadata = another.workspace.snapshots.current().metadata
        folder = ranking_folder(client.settings, metadata.ranker_fingerprints["query"])
        aside = folder.with_name("aside")
        shutil.move(folder, aside)
    try:
        with Client(settings=client.settings) as third:
            lost = ask(third, queries[:10], n=20)
            assert all(answer.ranking.degraded == ("ranking",) for answer in lost)
            plain = [[hit.item_id for hit in answer.hits] for answer in before[:10]]
            assert [[hit.item_id for hit in answer.hits] for answer in lost] == plain
    finally:
        shutil.move(aside, folder)


def test_what_people_did_with_answers_teaches_too(client: Client, queries: list[str], prices: dict[str, float]) -> None:
    answers = ask(client, queries, personalization=0.0)
    events = []
    for number, answer in enumerate(answers):
        dear = max(answer.hits[:6], key=lambda hit: prices[hit.item_id], default=None)
        if dear is not None:
            now = datetime.now(UTC)
            who = {"user_id": f"u{number % 40}", "query_id": answer.answer_id, "timestamp": now}
            events.append(Event(event_type="click", item_id=dear.item_id, **who))
    client.put_events(events)
    # With the clicks that were judged on before, nothing is known of answers yet.
    run = train_ranking_if_needed(client.workspace, trees=SMALL)
    assert run.outcome == "trained" and run.training is not None and "no ranking was trained" in run.fact
    (outcome,) = run.training.outcomes
    assert outcome.kept and outcome.situation == "query" and outcome.answers >= 100
    assert cheapest_first(ask(client, queries), prices) < cheapest_first(answers, prices) - 0.1
    stats = client.workspace.snapshots.latest().interaction_stats
    clicked = events[0].item_id or ""
    assert 0 < stats.rate < 1 and stats.by_item[clicked][1] >= 1 and "nothing" not in stats.by_item


def test_it_is_trained_again_where_there_is_more_to_learn_from(
    client: Client, queries: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(count: int) -> Path:
        file = tmp_path / f"{count}.jsonl"
        file.write_text("".join(json.dumps({"query": f"q{n}", "item_id": "x", "grade": 1}) + "\n" for n in range(count)))
        return file

    work = client.workspace
    known = int(work.snapshots.latest().metadata.notes["ranking"]["judgments"])
    monkeypatch.setattr(ranking_due, "train_ranking", lambda *_, **__: RankingReport("answers", (), 0.0))
    with training_lock(work.settings):
        assert train_ranking_if_needed(work).outcome == "busy"
    assert "+0.0%" in train_ranking_if_needed(work).fact
    assert train_ranking_if_needed(work, judged(known + 1)).outcome == "nothing"
    assert train_ranking_if_needed(work, judged(known + 1), growth=1e-4).outcome == "kept"
    assert train_ranking_if_needed(work, judged(2 * known)).outcome == "kept"

    given = [answer for answer in ask(client, queries[:40]) if answer.hits]
    who = {"user_id": "u1", "timestamp": datetime.now(UTC)}
    client.put_events([Event(event_type="click", item_id=a.hits[0].item_id, query_id=a.answer_id, **who) for a in given[:5]])
    assert train_ranking_if_needed(work).outcome == "nothing"
    client.put_events([Event(event_type="click", item_id=a.hits[0].item_id, query_id=a.answer_id, **who) for a in given[5:]])
    due = train_ranking_if_needed(work)
    assert due.outcome == "kept" and "it takes +10.0%" in "".join(due.lines())
    json.dumps(due.to_dict())
    with pytest.raises(InputError):
        train_ranking_if_needed(work, growth=0.0)


def test_exploration_takes_turns_and_logs_its_chances(client: Client, queries: list[str]) -> None:
    query = queries[0]
    calm = [tuple(hit.item_id for hit in client.search(query).hits) for _ in range(3)]
    assert len(set(calm)) == 1
    tried = [client.search(query, explore=1.0) for query in queries[:8] for _ in range(5)]  # so many that not all are alike
    assert len({tuple(hit.item_id for hit in answer.hits) for answer in tried}) > 8
    for answer in tried:
        check(answer.hits)
    logged = {record["answer_id"]: record for record in client.workspace.log.read()}
    chances = [hit["propensity"] for answer in tried for hit in logged[answer.answer_id]["hits"]]
    assert all(0 < chance <= 1 for chance in chances) and min(chances) < 1
    assert all(hit["propensity"] <= hit["inclusion_probability"] for answer in tried for hit in logged[answer.answer_id]["hits"])
    first_ten = {hit.item_id for hit in client.recommend().hits}
    newer = [client.recommend(explore=1.0).hits[COLD_START_RANK] for _ in range(12)]
    assert all(hit.item_id not in first_ten and hit.propensity < 0.6 for hit in newer)
    assert len({hit.item_id for hit in newer}) > 1
    with pytest.raises(InputError, match="explore"):
        client.search(query, explore=1.5)
