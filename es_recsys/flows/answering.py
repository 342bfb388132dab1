"""Answering a query: at most three round trips (profile, legs, and the finalists' missing scores and sources)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import FingerprintMismatch, InputError, RecsysError
from es_recsys.flows.effects import Call, Flow, Log, Search
from es_recsys.flows.people import features, of_views, read_profile, who
from es_recsys.flows.view import View
from es_recsys.models.base import DEPTHS
from es_recsys.search.answer import complete, finish
from es_recsys.search.context import Context
from es_recsys.search.filters import Clause, parse
from es_recsys.search.gather import gather
from es_recsys.search.plan import plan
from es_recsys.types import Answer, Profile, Query, Ranking

__all__ = ["answer", "context_of", "kind_of", "rank"]

_MOST_RANKED = 1_000
_LIKE_CONTENT = {"taste_text": 1.0, "taste_image": 0.5, "popular": 1e-3, "fresh": 1e-3}
_LIKE_MODELS = 0.3


def kind_of(query: Query) -> str:
    """ "rank", "similar", "search" or "recommend"."""
    if query.ids is not None:
        return "rank"
    if query.like is not None:
        return "similar"
    return "search" if query.text.strip() or query.image is not None else "recommend"


def answer(view: View, query: Query, now: float) -> Flow[Answer]:
    """Answers a query and logs the answer. A leg that fails is named in `degraded`.

    Raises InputError, FilterError for a query that can't be answered; StoreNotFound where the index is gone.
    """
    started = time.perf_counter()
    _check(query)
    filters = parse(query.filter, view.meta.fields)
    kind = kind_of(query)
    profile = yield from read_profile(view, query, now)
    vectors, mute = yield from _vectors(view, query)
    if query.like is not None:
        context = yield from _likeness(view, query, profile, filters, now)
    else:
        context = context_of(view, query, profile, vectors, filters, now)
    ranking = yield from rank(view, context)
    ranking = replace(ranking, degraded=tuple(dict.fromkeys((*mute, *ranking.degraded))))
    found = Answer(str(uuid.uuid4()), kind, ranking, (time.perf_counter() - started) * 1_000.0)
    yield Log(_record(view, query, found, now))
    return found


def rank(view: View, context: Context) -> Flow[Ranking]:
    """The ranking of a question of which all is known."""
    first = plan(context)
    responses = yield Search(view.meta.index, first.bodies)
    second = complete(context, gather(context, first, responses))
    responses = (yield Search(view.meta.index, second.bodies)) if second.bodies else []
    return finish(context, second, responses)


def context_of(
    view: View,
    query: Query,
    profile: Profile | None,
    vectors: Mapping[str, NDArray[np.float32]],
    filters: list[Clause],
    now: float,
) -> Context:
    """Everything that the answer is computed from, with what is left out by default: what a recommendation's user knows,
    and dislikes everywhere."""
    impact = view.settings.search.impact if query.impact is None else query.impact
    exclude = frozenset(query.exclude)
    if profile is not None:
        exclude |= profile.disliked
        if kind_of(query) == "recommend":
            exclude |= profile.known
    if query.ids is not None:
        filters = [*filters, {"ids": {"values": list(query.ids)}}]
    known: dict[str, Any] = {}
    if profile is not None and impact > 0.0:
        known = {"tastes": profile.tastes, "strength": profile.strength, "history": profile.history}
        known |= _collaborative(view, profile, exclude)
    return Context(
        meta=view.meta,
        now=now,
        settings=view.settings.search,
        text=query.text.strip(),
        vectors=vectors,
        popular=view.popular,
        filters=tuple(filters),
        exclude=exclude,
        impact=impact,
        diversity=view.settings.search.diversity if query.diversity is None else query.diversity,
        n=query.n,
        offset=query.offset,
        facets=query.facets,
        explain=query.explain,
        **known,
    )


def _collaborative(view: View, profile: Profile, exclude: frozenset[str]) -> dict[str, Any]:
    factors: dict[str, NDArray[np.float32]] = {}
    neighbours: dict[str, list[tuple[str, float]]] = {}
    for name, model in view.models.items():
        if model.kind == "vector":
            vector = model.vector(profile.history)
            if vector is not None:
                factors[name] = vector
        else:
            neighbours[name] = model.weights(profile.history, DEPTHS[model.kind], exclude)
    return {
        "factors": factors,
        "neighbours": neighbours,
        "scorers": {name: partial(model.score, profile.history) for name, model in view.models.items()},
        "reasons": {name: partial(model.because, profile.history) for name, model in view.models.items()},
    }


def _vectors(view: View, query: Query) -> Flow[tuple[dict[str, NDArray[np.float32]], tuple[str, ...]]]:
    """The question as vectors, and the fields whose encoder failed, which the answer does without."""
    questions: list[tuple[str, str | bytes]] = []
    if query.text.strip():
        questions.append(("text", query.text.strip()))
    if query.image is not None:
        questions.append(("image", query.image))
    vectors: dict[str, NDArray[np.float32]] = {}
    mute: list[str] = []
    for kind, question in questions:
        for field in view.encoder.fields(view.meta, kind):
            try:
                vectors[field] = yield Call(partial(view.encoder.vector, view.meta, field, question))
            except (FingerprintMismatch, InputError):
                raise
            except RecsysError:
                if kind == "image":
                    raise
                mute.append(field)
    if query.image is not None and not vectors:
        raise InputError("This store has no pictures to compare with.", "Load items with pictures and an image encoder.")
    return vectors, tuple(mute)


def _likeness(view: View, query: Query, profile: Profile | None, filters: list[Clause], now: float) -> Flow[Context]:
    """What is like one item: a recommendation to somebody who saw nothing else, in which content leads. One item is too
    thin a history for what people did beside it to decide alone. The user adds dislikes only.
    """
    item_id = str(query.like)
    known = yield from features(view, (item_id,))
    if item_id not in known:
        raise InputError(f"There is no item {item_id!r} in {view.meta.store}.", "See its id in the catalogue.")
    alone = of_views(view, (item_id,), known, now)
    exclude = frozenset(query.exclude) | {item_id} | (profile.disliked if profile is not None else frozenset())
    plain = replace(query, like=None, exclude=exclude, impact=1.0)
    context = context_of(view, plain, replace(alone, known=frozenset()), {}, filters, now)
    models = {name: _LIKE_MODELS * view.meta.weights.get("no_query", {}).get(name, 0.0) for name in view.models}
    weights = {**view.meta.weights, "no_query": {**_LIKE_CONTENT, **models}}
    return replace(context, meta=replace(view.meta, weights=weights))


def _check(query: Query) -> None:
    if query.ids is not None and not 1 <= len(query.ids) <= _MOST_RANKED:
        raise InputError(f"{len(query.ids)} items are to be ranked.", f"Give 1 to {_MOST_RANKED:,} ids.")
    if query.like is not None and (query.text or query.image is not None or query.ids is not None):
        raise InputError("A question for items like one has no words, picture or ids beside it.", "Ask them one by one.")


def _record(view: View, query: Query, found: Answer, now: float) -> dict[str, Any]:
    keys = who(view, query)
    return {
        "answer_id": found.answer_id,
        "kind": found.kind,
        "time": now,
        "user_key": keys[0] if keys else None,
        "store": view.meta.store,
        "version": view.meta.version,
        "query": query.text or None,
        "offset": query.offset,
        "hits": [
            # Nothing is left to chance yet, so what was shown was sure to be.
            {"item_id": hit.item_id, "position": hit.rank, "score": hit.score, "parts": dict(hit.parts), "propensity": 1.0}
            for hit in found.hits
        ],
        "degraded": list(found.ranking.degraded),
        "took_ms": found.took_ms,
    }
