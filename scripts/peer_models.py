"""What `peers.py` compares: the libraries implicit, RecTools and LensKit, and ours, behind one way to train and to ask.

A technique is trained on `Interactions` (conversion to the library's own form included, as its users need it too) and gives
the best n items of each user, what they had before left out. The library's ways of answering many users at once are used.
The number of threads is that of the variable OMP_NUM_THREADS.

RecTools has neural models too; of them eSASRec is run, on Beauty alone. EASE is left out on Gowalla, where its matrix has
41,000 rows (scripts/exact_ease.py is about EASE there).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions

__all__ = ["LENGTHS", "TECHNIQUES", "Technique", "techniques"]

# Data set -> length of the answers.
LENGTHS = {"gowalla": 20, "beauty": 10}
Lists = list[list[str]]


class Recommender(Protocol):
    """A trained model. users: places in `Interactions.user_ids`."""

    def __call__(self, users: NDArray[np.int64], n: int) -> Lists: ...


Train = Callable[[Interactions, Mapping[str, Any]], Recommender]
Space = Callable[[bool], Mapping[str, Sequence[Any]]]


@dataclass(frozen=True)
class Technique:
    """library; kind: the same for the same model of two libraries; train; settings: data set -> what to start from,
    {} for all data sets with the usual ones. A technique with settings is run on the data sets that it has some for.
    space: setting -> values to try, given whether the order of events tells something; without one nothing is tried."""

    library: str
    kind: str
    train: Train
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    space: Space | None = None

    @property
    def name(self) -> str:
        return f"{self.library} {self.kind}"

    def drawn(self, dataset: str, rng: np.random.Generator) -> dict[str, Any]:
        """Random settings of the space, those it is silent about as they are started from."""
        space = self.space(dataset != "gowalla") if self.space else {}
        return {
            **self.settings.get(dataset, {}),
            **{name: values[int(rng.integers(len(values)))] for name, values in space.items()},
        }

    def brief(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings for a training that only warms up."""
        short = {"epochs": 1, "iterations": 1, "budget": 1.0, "factors": 8}
        return {name: short.get(name, value) for name, value in settings.items()}


def on_each(settings: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The same settings to start from on every data set."""
    return dict.fromkeys(LENGTHS, settings)


def threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def matrix(data: Interactions) -> Any:
    """(n_users, n_items) float32, 1 where there is an event."""
    from scipy import sparse

    shape = (len(data.user_ids), len(data.item_ids))
    found = sparse.csr_matrix((np.ones(len(data.items), np.float32), (data.users, data.items)), shape=shape)
    found.data[:] = 1.0
    return found


def named(data: Interactions, rows: NDArray[np.integer[Any]]) -> Lists:
    """Items by name of (n_users, n) places; places below 0 are no items."""
    return [[str(data.item_ids[place]) for place in row if place >= 0] for row in rows.tolist()]


def implicit_factors(make: Callable[[Mapping[str, Any]], Any]) -> Train:
    """A factor model of implicit, on weights as its guide has them (BM25), or plain ones."""

    def train(data: Interactions, settings: Mapping[str, Any]) -> Recommender:
        from implicit.nearest_neighbours import bm25_weight

        settings = dict(settings)
        plain, k1 = matrix(data), settings.pop("bm25", None)
        weighed = plain if k1 is None else bm25_weight(plain.T, K1=k1, B=settings.pop("b", 0.8)).T.tocsr().astype(np.float32)
        model = make(settings)
        model.fit(weighed, show_progress=False)

        def ask(users: NDArray[np.int64], n: int) -> Lists:
            # Asked with what was had: rows of `weighed` tell which items to leave out.
            places, _ = model.recommend(users, weighed[users], N=n, filter_already_liked_items=True)
            return named(data, places)

        return ask

    return train


def _als(settings: Mapping[str, Any]) -> Any:
    from implicit.als import AlternatingLeastSquares

    return AlternatingLeastSquares(**settings, num_threads=threads(), random_state=7)


def rectools(make: Callable[[Mapping[str, Any]], Any]) -> Train:
    """A model of RecTools."""

    def train(data: Interactions, settings: Mapping[str, Any]) -> Recommender:
        import pandas as pd
        from rectools.dataset import Dataset

        # Times only put the events in order, as they stand.
        frame = pd.DataFrame(
            {
                "user_id": data.users,
                "item_id": data.items,
                "weight": 1.0,
                "datetime": pd.to_datetime(np.arange(len(data.items)), unit="s"),
            }
        )
        dataset = Dataset.construct(frame)
        model = make(settings)
        model.fit(dataset)

        def ask(users: NDArray[np.int64], n: int) -> Lists:
            found = model.recommend(users=users, dataset=dataset, k=n, filter_viewed=True)
            lists = {user: part["item_id"].tolist() for user, part in found.sort_values("rank").groupby("user_id")}
            return [[str(data.item_ids[item]) for item in lists.get(user, [])] for user in users.tolist()]

        return ask

    return train


def _ease(settings: Mapping[str, Any]) -> Any:
    from rectools.models import EASEModel

    return EASEModel(**settings, recommend_n_threads=threads(), recommend_use_gpu_ranking=False)


def _pure_svd(settings: Mapping[str, Any]) -> Any:
    from rectools.models import PureSVDModel

    return PureSVDModel(**settings, recommend_n_threads=threads(), recommend_use_gpu_ranking=False)


def _nearest(settings: Mapping[str, Any]) -> Any:
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
    from rectools.models import ImplicitItemKNNWrapperModel

    settings = dict(settings)
    kind = {"bm25": BM25Recommender, "cosine": CosineRecommender, "tfidf": TFIDFRecommender}[settings.pop("likeness", "bm25")]
    return ImplicitItemKNNWrapperModel(kind(**settings, num_threads=threads()))


def _sasrec(settings: Mapping[str, Any]) -> Any:
    from rectools.models import SASRecModel
    from rectools.models.nn.transformers.ligr import LiGRLayers

    # eSASRec (Tikhonovich et al. 2025): LiGR blocks and a sampled softmax.
    return SASRecModel(transformer_layers_type=LiGRLayers, loss="sampled_softmax", **settings)


def lenskit_nearest(data: Interactions, settings: Mapping[str, Any]) -> Recommender:
    """LensKit's item-kNN, in the pipeline that its guide makes."""
    import pandas as pd
    from lenskit.batch import recommend
    from lenskit.data import from_interactions_df
    from lenskit.knn import ItemKNNScorer
    from lenskit.pipeline import topn_pipeline

    frame = pd.DataFrame({"user_id": data.users, "item_id": data.items}).drop_duplicates()
    dataset = from_interactions_df(frame)
    pipeline = topn_pipeline(ItemKNNScorer(feedback="implicit", **settings))
    pipeline.train(dataset)

    def ask(users: NDArray[np.int64], n: int) -> Lists:
        found = recommend(pipeline, users.tolist(), n, n_jobs=1)
        lists = {key.user_id: own.ids().tolist() for key, own in found.items()}
        return [[str(data.item_ids[item]) for item in lists.get(user, [])] for user in users.tolist()]

    return ask


def own_space(name: str) -> Space:
    """What `train` searches for one of our models."""

    def space(ordered: bool) -> Mapping[str, Sequence[Any]]:
        from es_recsys.models import MODELS

        return MODELS[name].search_space(ordered, False)

    return space


def ours(name: str) -> Train:
    """One of our models, asked in memory as `batch recommend` asks it."""

    def train(data: Interactions, settings: Mapping[str, Any]) -> Recommender:
        from es_recsys.models import MODELS

        kind = MODELS[name]
        config = kind().config
        own = {"threads": threads()} if hasattr(config, "threads") else {}
        for setting, value in {**own, **settings}.items():
            config = kind.with_param(config, setting, value)
        model = kind(config)
        model.fit(data, np.random.default_rng(7))
        return _asked(data, lambda histories, n, known: model.recommend_idx(histories, n, known), model.item_ids)

    return train


def our_best(data: Interactions, settings: Mapping[str, Any]) -> Recommender:
    """What `train` chooses by itself: trials and the weighing of models are part of the training."""
    from es_recsys.dataset import History
    from es_recsys.models.ensemble import recommend
    from es_recsys.training.model_selection import select

    chosen = select(data, np.random.default_rng(7), **settings)
    print("\n".join(chosen.report.lines), flush=True)
    starts = np.searchsorted(data.users, np.arange(len(data.user_ids) + 1))

    def ask(users: NDArray[np.int64], n: int) -> Lists:
        lists = []
        for user in users.tolist():
            items = data.item_ids[data.items[starts[user] : starts[user + 1]]].tolist()
            hits = recommend(chosen.models, chosen.weights, History.of(items[-300:]), n, frozenset(items))
            lists.append([item for item, _ in hits])
        return lists

    return ask


def _asked(data: Interactions, top: Callable[..., Any], ids: Any) -> Recommender:
    from es_recsys.dataset import History
    from es_recsys.models.types import HistoryBatch

    starts = np.searchsorted(data.users, np.arange(len(data.user_ids) + 1))

    def ask(users: NDArray[np.int64], n: int) -> Lists:
        lists: Lists = []
        for begin in range(0, len(users), 512):
            own = [data.item_ids[data.items[starts[u] : starts[u + 1]]].tolist() for u in users[begin : begin + 512].tolist()]
            known = [ids.find(sorted(set(items))).astype(np.int64) for items in own]
            batch = HistoryBatch.of([History.of(items) for items in own], ids)
            lists += [list(ids.take(places)) for places, _ in top(batch, n, [places[places >= 0] for places in known])]
        return lists

    return ask


# Values that the guides of the libraries name, and those about them.
_ALS: Mapping[str, Sequence[Any]] = {
    "factors": (64, 128, 256),
    "regularization": (0.01, 0.1, 1.0, 10.0, 30.0),
    "alpha": (1.0, 4.0, 10.0, 25.0),
    "bm25": (None, 1.2, 100.0),
}
_NEAREST: Mapping[str, Sequence[Any]] = {"likeness": ("bm25", "cosine", "tfidf"), "K": (20, 50, 100, 200, 400)}
_LENSKIT: Mapping[str, Sequence[Any]] = {"max_nbrs": (10, 20, 50, 100, 200), "min_sim": (1e-6, 0.01, 0.05)}
_EASE: Mapping[str, Sequence[Any]] = {"regularization": (10.0, 30.0, 80.0, 200.0, 500.0, 1_000.0)}

TECHNIQUES: Sequence[Technique] = (
    Technique(
        "implicit",
        "ALS",
        implicit_factors(_als),
        on_each({"factors": 128, "regularization": 0.01, "alpha": 1.0, "bm25": 100.0}),
        lambda _: _ALS,
    ),
    Technique("ours", "ALS", ours("als"), on_each({"factors": 128}), own_space("als")),
    Technique("RecTools", "item-kNN", rectools(_nearest), on_each({"K": 200}), lambda _: _NEAREST),
    Technique("LensKit", "item-kNN", lenskit_nearest, on_each({"max_nbrs": 50}), lambda _: _LENSKIT),
    Technique("RecTools", "EASE", rectools(_ease), {"beauty": {"regularization": 80.0}}, lambda _: _EASE),
    Technique("ours", "EASE", ours("ease"), {"beauty": {"regularization": 80.0}}, own_space("ease")),
    Technique(
        "RecTools",
        "PureSVD",
        rectools(_pure_svd),
        on_each({"factors": 128}),
        lambda _: {"factors": (16, 32, 64, 128, 256)},
    ),
    Technique("ours", "covisitation", ours("covisitation"), space=own_space("covisitation")),
    Technique(
        "RecTools",
        "SASRec",
        rectools(_sasrec),
        {
            "beauty": {
                "n_blocks": 2,
                "n_heads": 2,
                "n_factors": 256,
                "dropout_rate": 0.5,
                "session_max_len": 50,
                "n_negatives": 256,
                "batch_size": 128,
                "epochs": 12,
                "train_min_user_interactions": 2,
            }
        },
    ),
    Technique("ours", "SASRec", ours("sasrec"), {"beauty": {"epochs": 40}}),
    Technique("ours", "best blend", our_best, on_each({"budget": 240.0})),
)


def techniques(names: Sequence[str]) -> list[Technique]:
    """Those whose name holds one of the words, all where there are none."""
    return [one for one in TECHNIQUES if not names or any(word.lower() in one.name.lower() for word in names)]
