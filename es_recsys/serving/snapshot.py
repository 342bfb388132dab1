"""One index version with all that answers are made from: what a flow has before its first request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from es_recsys.events.actors import actor_key
from es_recsys.features import ItemFeatures
from es_recsys.forward_index import ForwardIndex
from es_recsys.index_metadata import IndexMetadata
from es_recsys.keys import confirm_key
from es_recsys.models.association_rules import AssociationRules
from es_recsys.models.base import Model
from es_recsys.models.removed import REMOVED
from es_recsys.models.repeat_purchases import RepeatPurchases
from es_recsys.search.exploration import InteractionStats
from es_recsys.search.past_searches import PastSearches
from es_recsys.search.ranker import Ranker
from es_recsys.search.request import Scorer, UserState
from es_recsys.serving.feature_sampler import FeatureSampler
from es_recsys.serving.query_encoder import QueryEncoder
from es_recsys.serving.user_cache import UserCache
from es_recsys.settings import Settings
from es_recsys.vector_fields import is_encoder_field

__all__ = ["ServingSnapshot"]


@dataclass(frozen=True, slots=True, eq=False)
class ServingSnapshot:
    """What serves a store.

    models: name -> model that this version is served with. popularity: (product id, score), best first. rankers: situation ->
    learned ranking, None for one that can't be used. interaction_stats: how items did when they were shown, for exploration.
    item_features: what behaviour says of the items, None for a version that nothing was trained for. forward: the items, None
    where Elasticsearch is asked for each score. ranking_fingerprint: what ready lists must have been made under. past_searches,
    users: what earlier answers found out, which spares work and changes nothing. nobody: the state of who is not known.
    feature_sampler: says which answers are logged with features. popularity_of: the popularity of any products, None where
    nothing was counted. association_rules: what is bought together, repeat_purchases: what is bought again; None where no
    training has counted it.
    """

    settings: Settings
    metadata: IndexMetadata
    secret: bytes
    encoder: QueryEncoder
    models: Mapping[str, Model] = field(default_factory=dict)
    popularity: Sequence[tuple[str, float]] = ()
    rankers: Mapping[str, Ranker | None] = field(default_factory=dict)
    interaction_stats: InteractionStats = field(default_factory=InteractionStats)
    item_features: ItemFeatures | None = None
    forward: ForwardIndex | None = None
    ranking_fingerprint: str = ""
    past_searches: PastSearches = field(default_factory=PastSearches)
    users: UserCache = field(default_factory=UserCache)
    nobody: UserState = field(default_factory=UserState)
    feature_sampler: FeatureSampler = field(default_factory=FeatureSampler)
    popularity_of: Scorer | None = None
    association_rules: AssociationRules | None = None
    repeat_purchases: RepeatPurchases | None = None

    def key_of(self, actor: str) -> str:
        """Return the profile key of an actor. Raises KeyMismatch where it is kept under another secret than is set."""
        confirm_key(self.secret, self.metadata.key_check)
        return actor_key(actor, self.secret)

    @property
    def removed_models(self) -> tuple[str, ...]:
        """Names of the models that this version was trained with and that are gone: its answers do without them."""
        return tuple(name for name in self.metadata.models if name in REMOVED)

    @property
    def content_fields(self) -> tuple[str, ...]:
        """The vector fields that encoders fill, and tastes with them."""
        return tuple(filter(is_encoder_field, self.metadata.vectors))
