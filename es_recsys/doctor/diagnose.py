"""All checks in the order in which one depends on another. They start nothing and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

from es_recsys.doctor.check import Check, run_check
from es_recsys.doctor.machine import check_answer_log, check_node_resources, check_python, check_writable
from es_recsys.doctor.packages import check_packages
from es_recsys.doctor.store import check_store
from es_recsys.engine import check_server, connect, status
from es_recsys.errors import EngineError
from es_recsys.settings import Settings

__all__ = ["diagnose"]

_TIMEOUT_S = 5.0


def diagnose(settings: Settings) -> Iterator[Check]:
    """Yield one check after the other, each as soon as it is known. An error becomes a check that is not ok."""
    node = status(settings) if not settings.url else None
    yield check_python()
    yield check_writable("home", settings.home, "ES_RECSYS_HOME")
    yield check_writable("cache", settings.cache, "ES_RECSYS_CACHE")
    yield check_answer_log(settings)
    if not settings.url:
        yield from check_node_resources(settings, running=node is not None)
    yield from check_packages(settings)
    url = settings.url or (node.url if node is not None else None)
    if url is None:
        yield Check("elasticsearch", True, "The embedded node is not up. Commands start it; so does: es-recsys engine start")
        return
    yield from _check_server(settings, url, embedded=node is not None)


def _check_server(settings: Settings, url: str, *, embedded: bool) -> Iterator[Check]:
    try:
        client = connect(settings, url)
    except EngineError as error:
        yield Check("elasticsearch", False, error.what, error.remedy)
        return
    with client:
        impatient = client.options(request_timeout=_TIMEOUT_S, max_retries=0)
        server = run_check("elasticsearch", lambda: f"Version {check_server(impatient)} answers.")
        if embedded and not server.ok:
            server = Check(server.name, False, server.what, "Restart the node: es-recsys engine stop, es-recsys engine start")
        yield server
        if not server.ok:
            return
        checks = list(check_store(impatient, settings))
    yield from checks
    if any(check.name == "store" and check.ok for check in checks):
        from es_recsys.doctor.events import check_events

        yield from check_events(settings, url)
