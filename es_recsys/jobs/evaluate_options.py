"""The options of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from es_recsys.errors import InputError
from es_recsys.evaluation import QUERY_SPLITS
from es_recsys.models import MODELS
from es_recsys.models.removed import wrong_model
from es_recsys.training.target_types import check_targets

__all__ = ["IMPRESSION", "SPLITS", "EvaluateOptions", "check_options"]

SPLITS = (*QUERY_SPLITS, "search")
IMPRESSION = "impression"


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What is compared, and on which queries.

    models: names; empty for all. split: one of SPLITS, or IMPRESSION for rankings of what was shown. judgments: a file of
    judged queries, in place of the split; columns: our names for its columns. targets: event types that make an item
    relevant, empty for all positive ones; an ensemble is trained for those of the store's last training, or for these where
    there was none. served: also through Elasticsearch; retrievers: there also each retriever alone. users: queries at most.
    n: length of the answers. budget: seconds of processor time for the trainings in memory.
    """

    models: tuple[str, ...] = ()
    split: str = "last"
    judgments: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    served: bool = True
    retrievers: bool = False
    users: int = 1_000
    n: int = 10
    budget: float = 600.0
    seed: int = 7

    @property
    def searches(self) -> bool:
        """Whether the queries are searches, which only Elasticsearch answers."""
        return self.split == "search" or self.judgments is not None

    @property
    def impressions(self) -> bool:
        """Whether the items of impressions are ranked, which only Elasticsearch does."""
        return self.split == IMPRESSION


def check_options(options: EvaluateOptions) -> None:
    """Raise InputError for an unknown model, split or event type, and for searches in memory."""
    check_targets(options.targets)
    unknown = [name for name in options.models if name not in MODELS]
    if unknown:
        raise wrong_model(unknown[0], MODELS, "; or none, for all of them")
    if options.split not in (*SPLITS, IMPRESSION):
        raise InputError(f"There is no split {options.split!r}.", f"Name one of: {', '.join((*SPLITS, IMPRESSION))}.")
    if (options.searches or options.impressions) and not options.served:
        raise InputError("Searches and impressions are answered through Elasticsearch alone.", "Leave --no-served out.")
    if options.impressions and options.judgments is not None:
        raise InputError("Judgments are of searches, not of impressions.", "Leave --judgments or --split impression out.")
