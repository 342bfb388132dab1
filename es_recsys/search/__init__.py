"""Search and recommendation as functions: what is known goes in, request bodies come out; responses go in, a ranking comes out.

    first = plan(context)                           # the first request's bodies
    gathered = gather(context, first, responses)
    second = complete(context, gathered)            # the second request's bodies; none where nothing was found
    ranking = finish(context, second, responses)
"""

from __future__ import annotations

from es_recsys.search.answer import complete, finish
from es_recsys.search.context import Context
from es_recsys.search.filters import parse
from es_recsys.search.gather import gather
from es_recsys.search.plan import plan

__all__ = ["Context", "complete", "finish", "gather", "parse", "plan"]
