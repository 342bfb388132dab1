"""Looks at all that must be right before a search can be answered. Starts nothing, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

from es_recsys.engine import machine_checks, package_checks, store_checks
from es_recsys.engine.checks import Check, attempt
from es_recsys.engine.connect import check_server, connect
from es_recsys.engine.embedded import status
from es_recsys.errors import EngineError
from es_recsys.settings import Settings

__all__ = ["Check", "checks"]

_PATIENCE_S = 5.0


def checks(settings: Settings) -> Iterator[Check]:
    """One check after the other, each as soon as it is known. No error is raised: it becomes a check that is not ok."""
    node = status(settings) if not settings.url else None
    yield machine_checks.has_python()
    yield machine_checks.is_writable("home", settings.home, "ES_RECSYS_HOME")
    yield machine_checks.is_writable("cache", settings.cache, "ES_RECSYS_CACHE")
    yield machine_checks.can_log(settings)
    if not settings.url:
        yield from machine_checks.can_run_node(settings, up=node is not None)
    yield from package_checks.extras(settings)
    url = settings.url or (node.url if node is not None else None)
    if url is None:
        yield Check("elasticsearch", True, "The embedded node is not up. Commands start it; so does: es-recsys engine start")
        return
    yield from _server(settings, url, embedded=node is not None)


def _server(settings: Settings, url: str, *, embedded: bool) -> Iterator[Check]:
    try:
        client = connect(settings, url)
    except EngineError as error:
        yield Check("elasticsearch", False, error.what, error.remedy)
        return
    with client:
        hasty = client.options(request_timeout=_PATIENCE_S, max_retries=0)
        found = attempt("elasticsearch", lambda: f"Version {check_server(hasty)} answers.")
        if embedded and not found.ok:
            found = Check(found.name, False, found.what, "Restart the node: es-recsys engine stop, es-recsys engine start")
        yield found
        if found.ok:
            yield from store_checks.store(hasty, settings)
