"""Users index: the users of a training, in the index that similar ones are searched in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from es_recsys.dataset import Interactions
from es_recsys.events.actors import actor_key, actor_of
from es_recsys.index import user_index
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models import Model, UserKNN
from es_recsys.models.user_vectors import pack
from es_recsys.serving.workspace import Workspace

__all__ = ["index_users"]

_SESSION = "session:"


def index_users(work: Workspace, metadata: IndexMetadata, models: Mapping[str, Model], data: Interactions) -> int:
    """Create and fill the users index of a version where one of its models searches it, and return how many users it holds.

    The profiles of the version must be there.
    """
    model = models.get(UserKNN.name)
    if not isinstance(model, UserKNN):
        return 0
    user_index.create(work.job_es, metadata, model.dims, len(data.user_ids))
    return user_index.fill(work.job_es, metadata, _users(model, data, work.settings.secret()))


def _users(model: UserKNN, data: Interactions, secret: bytes) -> Iterator[user_index.User]:
    for user_idx, vector, items, strengths in model.users():
        name = str(data.user_ids[user_idx])
        row = pack(items, strengths)
        yield actor_key(actor_of(name), secret), vector, row
        if name.startswith(_SESSION):
            # A user may have such a name, too; only one of the two has a profile.
            yield actor_key(actor_of(session_id=name.removeprefix(_SESSION)), secret), vector, row
