"""How personal searches are, measured on simulated users of a real catalogue of films.

    python scripts/simulated_films.py FOLDER [--seeds N...] [--films N] [--users N] [--questions N] [--alone] [--out FILE.json]

FOLDER holds MSRD's `movies-corpus.jsonl.gz` (docs/quality.md). Users have hidden tastes for genres, people, years, words and for
what no system sees; they come several times, each time for a genre, a director, an actor or anything, notice what is popular
sooner, and take what pleases them. All but the last film of each user are loaded as views by order, `train` chooses by itself,
and the store is searched through Elasticsearch (at ES_RECSYS_URL, else a node of its own) for the last one: by one of its genres,
its director, an actor or a tag, with the whole catalogue as competition and the films that the user has seen left out. NDCG@10
of the neutral answer and of the personal one, with the weights that `train` chose for searches and with the usual ones, with 95 %
intervals and what they gain over the neutral answer. With --alone also of each personalised retriever beside those that match the
words. Each line of the training comes with the processor time of this process; `--users 16000 --questions 0` is a whole training
on about a million events, and nothing else.

Seeds 1 and 2 are for development; 3 takes no part in any choice.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ProcessorClock, busy, machine, own_store, show
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from es_recsys import Client
from es_recsys.evaluation import EvalQuery, accuracy, ask, bootstrap
from es_recsys.jobs.load_events import load_events
from es_recsys.query import Query
from es_recsys.search.request import RankingPolicy
from es_recsys.search.retriever_weights import SEARCH_KINDS
from es_recsys.sources.read_options import ReadOptions
from es_recsys.training.served_ranker import Change, ServedRanker, only_retriever, without_person
from es_recsys.training.train import train
from es_recsys.types import Item

AT = 10
_WORDS, _UNSEEN = 16, 12  # dimensions of the tastes for words, and of those for what is in no text
_FEWEST, _TYPICAL, _SPREAD = 12, 45.0, 0.8  # films of a user
_NEEDS = {"genre": 0.45, "director": 0.1, "actor": 0.15, "anything": 0.3}


@dataclass(frozen=True, eq=False)
class Films:
    """Films, the most voted for first. names: kind of name -> its names, of each film. known (n,): how well known, standardised.

    words (n, 16), unseen (n, 12): unit rows; years (n,).
    """

    rows: Sequence[Mapping[str, Any]]
    names: Mapping[str, Sequence[tuple[str, ...]]]
    known: NDArray[np.float64]
    words: NDArray[np.float64]
    unseen: NDArray[np.float64]
    years: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    def items(self) -> list[Item]:
        return [
            Item(
                item_id=row["id"],
                title=row["title"],
                description=row["overview"],
                categories=tuple(row["genres"]),
                tags=tuple(row["tags"]),
                attributes={"director": row["director"] or "", "actors": tuple(row["actors"]), "year": row["year"]},
            )
            for row in self.rows
        ]


@dataclass(frozen=True, eq=False)
class Shop:
    """Films, what each user took of them (oldest first), and what was asked for the last one."""

    films: Films
    taken: Sequence[NDArray[np.int64]]
    asked: Sequence[str]

    def questions(self, n: int) -> tuple[EvalQuery, ...]:
        ids = np.array([row["id"] for row in self.films.rows])
        found = []
        for number, (own, text) in enumerate(zip(self.taken, self.asked, strict=True)):
            *seen, last = ids[own].tolist()
            query = Query(text=text, user_id=_user_id(number), exclude=frozenset(seen))
            found.append(EvalQuery(query, {last: 1.0}, actor=_user_id(number)))
        return tuple(one for one in found if one.query.text)[:n]


def read_films(path: Path, count: int, seed: int) -> Films:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        whole = [json.loads(line) for line in lines]
    rows = sorted((row for row in whole if row["genres"] and row["year"]), key=lambda row: (-row["votes"], row["id"]))[:count]
    names = {
        "genre": [tuple(row["genres"]) for row in rows],
        "director": [(row["director"],) if row["director"] else () for row in rows],
        "actor": [tuple(row["actors"][:5]) for row in rows],
        "tag": [tuple(row["tags"][:8]) for row in rows],
    }
    rng = np.random.default_rng([seed, 1])
    texts = [" ".join((row["overview"], *row["tags"], *row["genres"])) for row in rows]
    words = TruncatedSVD(_WORDS, random_state=seed).fit_transform(
        TfidfVectorizer(min_df=3, sublinear_tf=True).fit_transform(texts)
    )
    # What makes films go together is told by their texts in part.
    unseen = _unit(words @ rng.normal(size=(_WORDS, _UNSEEN))) + 1.5 * _unit(rng.normal(size=(len(rows), _UNSEEN)))
    known = np.log1p([row["votes"] for row in rows])
    known = (known - known.mean()) / known.std() + 0.3 * rng.normal(size=len(rows))
    return Films(rows, names, known, _unit(words), _unit(unseen), np.array([row["year"] for row in rows], np.float64))


def simulate(films: Films, users: int, seed: int) -> Shop:
    rng = np.random.default_rng([seed, 2])
    members = {kind: _members(films.names[kind]) for kind in ("genre", "director", "actor")}
    taken, asked = [], []
    for _ in range(users):
        own = _visits(films, members, rng)
        taken.append(own)
        asked.append(_asked(films, int(own[-1]), rng))
    return Shop(films, taken, asked)


def _members(names: Sequence[tuple[str, ...]]) -> dict[str, NDArray[np.int64]]:
    found: dict[str, list[int]] = {}
    for row, own in enumerate(names):
        for name in own:
            found.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in found.items()}


def _visits(films: Films, members: Mapping[str, Mapping[str, NDArray[np.int64]]], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the films that one user takes, oldest first."""
    liking, utility = _tastes(films, members, rng)
    wanted = max(int(rng.lognormal(np.log(_TYPICAL), _SPREAD)), _FEWEST)
    free = np.ones(len(films), bool)
    taken: list[int] = []
    while len(taken) < min(wanted, 400):
        among = _among(films, members, liking, taken, rng)
        near = 0.0 if not taken else 0.8 * (films.unseen[among] @ films.unseen[taken[-1]])
        # Of what is asked for or listed, what is better known is noticed sooner.
        value = utility[among] + near + 1.1 * films.known[among] + rng.gumbel(size=len(among))
        value[~free[among]] = -np.inf
        for row in among[np.argsort(-value)[: 1 + rng.poisson(1.5)]].tolist():
            if free[row] and len(taken) < wanted:
                free[row] = False
                taken.append(row)
    return np.array(taken)


def _tastes(
    films: Films, members: Mapping[str, Mapping[str, NDArray[np.int64]]], rng: np.random.Generator
) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Return how much a user likes each genre, and the utility (n,) of each film."""
    liking = dict(zip(members["genre"], rng.normal(size=len(members["genre"])).tolist(), strict=True))
    utility = np.array([0.8 * np.mean([liking[genre] for genre in own]) for own in films.names["genre"]])
    for kind, count, strength in (("director", 12, 1.2), ("actor", 25, 0.8)):
        known = [name for name, rows in members[kind].items() if len(rows) > 2]
        for name in rng.choice(known, count, replace=False).tolist():
            utility[members[kind][name]] += strength * rng.exponential()
    utility += 1.0 * np.exp(-(((films.years - rng.choice(films.years)) / 12.0) ** 2))
    utility += (
        1.5 * films.words @ _unit(rng.normal(size=(1, _WORDS)))[0] + 3.2 * films.unseen @ _unit(rng.normal(size=(1, _UNSEEN)))[0]
    )
    return liking, utility


def _among(
    films: Films,
    members: Mapping[str, Mapping[str, NDArray[np.int64]]],
    liking: Mapping[str, float],
    taken: Sequence[int],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the films that a visit is about."""
    need = rng.choice(list(_NEEDS), p=list(_NEEDS.values()))
    if need == "anything" or (need != "genre" and not taken):
        return np.arange(len(films))
    if need == "genre":
        odds = np.exp(np.array(list(liking.values())))
        return members["genre"][str(rng.choice(list(liking), p=odds / odds.sum()))]
    own = films.names[need][int(rng.choice(taken))]
    return members[need][own[int(rng.integers(len(own)))]] if own else np.arange(len(films))


def _asked(films: Films, film: int, rng: np.random.Generator) -> str:
    """Return what was asked for a film: one of its genres, its director, an actor or a tag, each as likely."""
    there = [kind for kind in films.names if films.names[kind][film]]
    own = films.names[there[int(rng.integers(len(there)))]][film]
    return own[int(rng.integers(len(own)))]


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return found


def _user_id(number: int) -> str:
    return f"u{number:05d}"


def load(client: Client, shop: Shop) -> None:
    client.insert_items(shop.films.items())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        with path.open("w", encoding="utf-8") as lines:
            for number, own in enumerate(shop.taken):
                for film in own[:-1].tolist():
                    lines.write(json.dumps({"user_id": _user_id(number), "item_id": shop.films.rows[film]["id"]}) + "\n")
        options = ReadOptions(constants={"event_type": "view"}, timestamps=False)
        for line in load_events(client.workspace, [path], options, bots="off").lines():
            print(line, flush=True)


def usual_weights(policy: RankingPolicy) -> RankingPolicy:
    """Return the policy without what was chosen for kinds of searches."""
    tables = {name: table for name, table in policy.retriever_weights.items() if name not in SEARCH_KINDS}
    return replace(policy, retriever_weights=tables)


def measured(client: Client, questions: Sequence[EvalQuery], alone: bool) -> dict[str, NDArray[np.float64]]:
    """Return ranking -> NDCG@10 of each question."""
    changes: dict[str, Change | None] = {
        "neutral, usual weights": lambda policy: without_person(usual_weights(policy)),
        "personal, usual weights": usual_weights,
        "neutral": without_person,
        "personal": None,
    }
    if alone:
        names = ("taste_text", "popularity", *client.workspace.snapshots.latest().models)
        changes |= {f"{name} alone": only_retriever(name) for name in names}
    grades = [one.grades for one in questions]
    lists = {
        name: ask(ServedRanker(client.workspace, questions, change), questions, AT).lists for name, change in changes.items()
    }
    return {name: accuracy(found, grades, AT, ("NDCG",))["NDCG"] for name, found in lists.items()}


def one_seed(arguments: argparse.Namespace, seed: int) -> dict[str, dict[str, Any]]:
    shop = simulate(read_films(arguments.folder / "movies-corpus.jsonl.gz", arguments.films, seed), arguments.users, seed)
    questions = shop.questions(arguments.questions)
    with own_store(f"simulated_films_{seed}", encoders={"image": "none"}) as client:
        print(f"seed {seed}, {machine(client)}, {busy()}; {sum(map(len, shop.taken)):,} films taken", flush=True)
        load(client, shop)
        clock = ProcessorClock()
        train(client.workspace, progress=clock)
        clock.line("The training has ended.")
        if not questions:
            return {}
        found = measured(client, questions, arguments.alone)
    rng, who = np.random.default_rng(0), [one.actor for one in questions]
    rows, figures = [], {}
    for name, values in found.items():
        mean, gain = bootstrap(values, rng, groups=who), bootstrap(values - found["neutral"], rng, groups=who)
        rows.append([name, str(mean), str(gain)])
        figures[name] = {**mean.to_dict(), "over_neutral": gain.to_dict()}
    show(f"seed {seed}: {len(questions):,} questions", ["ranking", f"NDCG@{AT}", "over neutral"], rows)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--films", type=int, default=3_500)
    parser.add_argument("--users", type=int, default=4_000)
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--alone", action="store_true", help="also each personalised retriever beside those that match the words")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    figures = {f"seed {seed}": one_seed(arguments, seed) for seed in arguments.seeds}
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
