"""Answering a query: at most three round trips (profile, legs, and the finalists' missing scores and sources), and one more
for similar users where a model answers from them."""

from __future__ import annotations

import hashlib
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import EngineError, FingerprintMismatch, InputError, RecsysError
from es_recsys.models.base import DEPTHS
from es_recsys.search.answer import RANKING, complete, finish
from es_recsys.search.context import DEEPEST, Context
from es_recsys.search.explore import NEWEST, Exploration, rng_of
from es_recsys.search.filters import Clause, parse
from es_recsys.search.gather import gather
from es_recsys.search.plan import plan
from es_recsys.search.weights import situation
from es_recsys.serving.operations import Flow, LogAnswer, MultiGet, MultiSearch, Recommend, RunBlocking
from es_recsys.serving.similar_users import among_similar
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_interests import interests_of
from es_recsys.serving.user_profiles import features, of_views, read_profile, who
from es_recsys.types import Answer, Hit, Profile, Query, Ranking
from es_recsys.values.unicode import nfc
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = ["answer", "context_of", "exploring", "kind_of", "question_vectors", "rank", "ranked_by", "words_vectors"]

_DRAWN_ANEW_S = 3_600.0
_LIKE_CONTENT = {"taste_text": 1.0, "taste_image": 0.5, "popular": 1e-3, "fresh": 1e-3}
_LIKE_MODELS = 0.3


def kind_of(query: Query) -> str:
    """ "rank", "similar", "search" or "recommend"."""
    if query.ids is not None:
        return "rank"
    if query.like is not None:
        return "similar"
    return "search" if query.text.strip() or query.image is not None else "recommend"


def answer(snapshot: ServingSnapshot, query: Query, now: float) -> Flow[Answer]:
    """Answers a query and logs the answer. A leg that fails is named in `degraded`.

    Raises InputError, FilterError for a query that can't be answered; StoreNotFound where the index is gone.
    """
    started = time.perf_counter()
    filters = parse(query.filter, snapshot.metadata.fields)
    kind = kind_of(query)
    profile = yield from read_profile(snapshot, query, now)
    vectors, mute = yield from question_vectors(snapshot, query)
    mute = (*snapshot.retired_models, *mute)
    if query.like is None and _personalization(snapshot, query) > 0.0:
        snapshot, lost = yield from among_similar(snapshot, profile, who(snapshot, query))
        mute = (*mute, *lost)
    if query.like is not None:
        context = yield from _likeness(snapshot, query, profile, filters, now)
    else:
        context = yield from context_of(snapshot, query, profile, vectors, filters, now)
        if kind == "recommend" and profile is not None and context.personalization > 0.0:
            interests, unread = yield from interests_of(snapshot, profile)
            context, mute = replace(context, interests=interests), (*mute, *unread)
        context, broken = ranked_by(snapshot, context)
        mute = (*mute, *broken)
    answer_id = str(uuid.uuid4())
    ranking = yield from rank(snapshot, exploring(snapshot, query, context, answer_id))
    ranking = replace(ranking, degraded=tuple(dict.fromkeys((*mute, *ranking.degraded))))
    unknown = yield from _unknown(snapshot, query, ranking)
    found = Answer(answer_id, kind, ranking, (time.perf_counter() - started) * 1_000.0, unknown)
    yield LogAnswer(_record(snapshot, query, found, situation(context), now))
    return found


def rank(snapshot: ServingSnapshot, context: Context) -> Flow[Ranking]:
    """The ranking of a question of which all is known. Raises EngineError where no retriever could be asked, InputError where
    Elasticsearch refuses what all were asked."""
    first = plan(context)
    responses = yield MultiSearch(snapshot.metadata.index, first.bodies)
    _raise_if_none_answered(responses[: len(first.asked)] or responses)
    second = complete(context, gather(context, first, responses))
    responses = (yield MultiSearch(snapshot.metadata.index, second.bodies)) if second.bodies else []
    return finish(context, second, responses)


def _unknown(snapshot: ServingSnapshot, query: Query, ranking: Ranking) -> Flow[tuple[str, ...]]:
    """The ids that were to be ranked and that the store lacks, so that nobody loses an item without a word."""
    shown = {hit.item_id for hit in ranking.hits}
    missing = tuple(item_id for item_id in query.ids or () if item_id not in shown)
    found = (yield MultiGet(snapshot.metadata.index, missing, ("item_id",))) if missing else {}
    return tuple(item_id for item_id in missing if item_id not in found)


def _raise_if_none_answered(responses: Sequence[Mapping[str, Any]]) -> None:
    """An answer to which nothing contributed would look as if nothing were found."""
    if not responses or not all("error" in response for response in responses):
        return
    error = responses[0]["error"]
    causes = [error, *(error.get("root_cause") or ())] if isinstance(error, Mapping) else [{"reason": error}]
    why = f"{causes[-1].get('type', 'error')}: {str(causes[-1].get('reason'))[:300]}"
    if all(response.get("status") == 400 for response in responses):
        raise InputError(f"Elasticsearch refused the request ({why}).", "Look at the values given, above all at filters.")
    raise EngineError(
        f"Elasticsearch carried out none of the {len(responses)} searches of this answer ({why}).",
        "See its log and the health of its indices, then try again.",
    )


def _personalization(snapshot: ServingSnapshot, query: Query) -> float:
    return snapshot.settings.search.personalization if query.personalization is None else query.personalization


def context_of(
    snapshot: ServingSnapshot,
    query: Query,
    profile: Profile | None,
    vectors: Mapping[str, NDArray[np.float32]],
    filters: list[Clause],
    now: float,
) -> Flow[Context]:
    """Everything that the answer is computed from, with what is left out by default: what a recommendation's user knows,
    and dislikes everywhere."""
    settings = snapshot.settings.search
    personalization = _personalization(snapshot, query)
    exclude = frozenset(query.exclude)
    collapse = snapshot.metadata.variants is not None and query.ids is None
    if collapse:
        settings = settings.model_copy(update={"depth": _deep_enough(settings.depth, snapshot.metadata.variants or 1.0)})
    if profile is not None:
        exclude |= profile.disliked
        if kind_of(query) == "recommend":
            exclude |= profile.seen
    if query.ids is not None:
        filters = [*filters, {"ids": {"values": list(query.ids)}}]
    known: dict[str, Any] = {}
    if profile is not None and personalization > 0.0:
        known = {"tastes": profile.tastes, "strength": profile.strength, "history": profile.history}
        known |= {"affinities": profile.affinities, "price": profile.price}
        known |= yield from _collaborative(snapshot, profile, exclude)
    return Context(
        metadata=snapshot.metadata,
        now=now,
        settings=settings,
        text=nfc(query.text.strip()),
        vectors=vectors,
        popular=snapshot.popular,
        filters=tuple(filters),
        exclude=exclude,
        personalization=personalization,
        diversity=snapshot.settings.search.diversity if query.diversity is None else query.diversity,
        n=query.n,
        offset=query.offset,
        facets=query.facets,
        explain=query.explain,
        item_side=snapshot.item_side,
        collapse=collapse,
        **known,
    )


def _deep_enough(depth: int, variants: float) -> int:
    """Candidates a leg that are variants of about `depth` products."""
    return max(depth, min(math.ceil(depth * variants), DEEPEST))


def ranked_by(snapshot: ServingSnapshot, context: Context) -> tuple[Context, tuple[str, ...]]:
    """The context with the learned ranking of its situation, where the store has one; and the name of it where it can't be
    used, so that the weighted sum serves."""
    about = situation(context)
    if about not in snapshot.rankers or snapshot.settings.search.fusion != "weighted" or (context.asks and not context.text):
        return context, ()
    ranker = snapshot.rankers[about]
    return replace(context, ranker=ranker), () if ranker is not None else (RANKING,)


def exploring(snapshot: ServingSnapshot, query: Query, context: Context, answer_id: str) -> Context:
    """The context with what is left to chance in this answer: the same for all pages that one asker sees of a question within
    an hour, so that nothing is shown twice or never. For nobody in particular each answer is drawn by itself."""
    share = snapshot.settings.search.exploration if query.explore is None else query.explore
    if share == 0.0 or query.ids is not None:
        return context
    asker, hour = who(snapshot, query), int(context.now // _DRAWN_ANEW_S)
    drawn = repr((asker[0], hour, _question(query))) if asker else answer_id
    rng = rng_of(snapshot.settings.search.seed, drawn)
    # Among what is like an item, one that is only new would be out of place.
    exploration = Exploration(share, snapshot.exposure, rng, NEWEST if query.like is None else 0)
    return replace(context, exploration=exploration)


def _question(query: Query) -> tuple[Any, ...]:
    """What is asked, whichever page of it."""
    filters = sorted(query.filter.items()) if isinstance(query.filter, Mapping) else list(query.filter)
    picture = None if query.image is None else hashlib.sha256(query.image).hexdigest()
    return kind_of(query), query.text.strip().lower(), picture, query.like, query.history, filters


def _collaborative(snapshot: ServingSnapshot, profile: Profile, exclude: frozenset[str]) -> Flow[dict[str, Any]]:
    factors: dict[str, NDArray[np.float32]] = {}
    neighbours: dict[str, list[tuple[str, float]]] = {}
    for name, model in snapshot.models.items():
        if model.kind == "vector":
            vector = model.vector(profile.history)
            if vector is not None:
                factors[name] = vector
        else:
            neighbours[name] = yield Recommend(model, profile.history, DEPTHS[model.kind], exclude)
    return {
        "factors": factors,
        "neighbours": neighbours,
        "scorers": {name: partial(model.score, profile.history) for name, model in snapshot.models.items()},
        "reasons": {name: partial(model.explain, profile.history) for name, model in snapshot.models.items()},
    }


def question_vectors(snapshot: ServingSnapshot, query: Query) -> Flow[tuple[dict[str, NDArray[np.float32]], tuple[str, ...]]]:
    """The question as vectors, and the fields whose encoder failed, which the answer does without."""
    questions: list[tuple[str, str | bytes]] = []
    if query.text.strip():
        questions.append(("text", query.text.strip()))
    if query.image is not None:
        questions.append(("image", query.image))
    vectors: dict[str, NDArray[np.float32]] = {}
    mute: list[str] = []
    for kind, question in questions:
        for field in snapshot.encoder.fields(snapshot.metadata, kind):
            try:
                vectors[field] = yield RunBlocking(partial(snapshot.encoder.vector, snapshot.metadata, field, question))
            except (FingerprintMismatch, InputError):
                raise
            except RecsysError:
                if kind == "image":
                    raise
                mute.append(field)
    if query.image is not None and not vectors:
        raise InputError("This store has no pictures to compare with.", "Load items with pictures and an image encoder.")
    return {**vectors, **words_vectors(snapshot, query.text, vectors)}, tuple(mute)


def words_vectors(
    snapshot: ServingSnapshot, text: str, vectors: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """Field -> vector of the question, where a model reads words or what the encoders make of it (`vectors`)."""
    readers = [model for model in snapshot.models.values() if model.field is not None and VECTOR_FIELDS[model.field].words]
    found = {str(model.field): model.query_vector(text, vectors) for model in readers} if text.strip() or vectors else {}
    return {field: vector for field, vector in found.items() if vector is not None}


def _likeness(
    snapshot: ServingSnapshot, query: Query, profile: Profile | None, filters: list[Clause], now: float
) -> Flow[Context]:
    """What is like one item: a recommendation to somebody who saw nothing else, in which content leads. One item is too
    thin a history for what people did beside it to decide alone. The user adds dislikes only.
    """
    item_id = str(query.like)
    known = yield from features(snapshot, (item_id,))
    if item_id not in known:
        raise InputError(f"There is no item {item_id!r} in {snapshot.metadata.store}.", "See its id in the catalogue.")
    alone = of_views(snapshot, (item_id,), known, now)
    snapshot, _ = yield from among_similar(snapshot, alone, ())
    own = {item_id, known[item_id].group_id or item_id}
    exclude = frozenset(query.exclude) | own | (profile.disliked if profile is not None else frozenset())
    plain = query.model_copy(update={"like": None, "exclude": exclude, "personalization": 1.0})
    context = yield from context_of(snapshot, plain, replace(alone, seen=frozenset()), {}, filters, now)
    models = {name: _LIKE_MODELS * snapshot.metadata.weights.get("no_query", {}).get(name, 0.0) for name in snapshot.models}
    weights = {**snapshot.metadata.weights, "no_query": {**_LIKE_CONTENT, **models}}
    return replace(context, metadata=replace(snapshot.metadata, weights=weights), item_side=None)


def _record(snapshot: ServingSnapshot, query: Query, found: Answer, about: str, now: float) -> dict[str, Any]:
    keys = who(snapshot, query)
    return {
        "answer_id": found.answer_id,
        "kind": found.kind,
        "situation": about if found.kind in ("search", "recommend") else None,
        "time": now,
        "user_key": keys[0] if keys else None,
        "store": snapshot.metadata.store,
        "version": snapshot.metadata.version,
        "query": query.text or None,
        "offset": query.offset,
        "hits": [_shown(hit) for hit in found.hits],
        "signals": _signals(found.hits),
        "degraded": list(found.ranking.degraded),
        "took_ms": found.took_ms,
    }


def _shown(hit: Hit) -> dict[str, Any]:
    shown = {"item_id": hit.item_id, "position": hit.rank, "score": hit.score, "parts": dict(hit.parts)}
    return {**shown, "propensity": hit.propensity, "shown": hit.shown}


def _signals(hits: Sequence[Hit]) -> dict[str, float | list[float | None] | None]:
    """Signal -> its value for each hit, or the one that all have, in six digits: what a learned ranking is trained on, as it
    was when it was shown."""
    names = dict.fromkeys(name for hit in hits for name in hit.signals)
    found = {name: [_short(hit.signals.get(name)) for hit in hits] for name in names}
    return {name: values[0] if len(set(values)) == 1 else values for name, values in found.items()}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
