"""Runs the service."""

from __future__ import annotations

import gc
import socket
from functools import partial

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from es_recsys.errors import InputError, SetupError
from es_recsys.service.access import is_loopback
from es_recsys.service.api_keys import ApiKeys
from es_recsys.service.app import make_app
from es_recsys.service.logs import set_up_logs
from es_recsys.service.metrics import shared_metrics
from es_recsys.settings import Settings

__all__ = ["bind", "serve"]

_WORKER_STARTS_S = 120


def bind(settings: Settings, host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises InputError for an address that others reach while there are no keys, SetupError where it can't be used.
    """
    if not is_loopback(host) and not ApiKeys(settings).all():
        raise InputError(
            "Without keys the service listens on this machine only.", "Make one first: es-recsys keys create --scope read"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio sends each part of an answer at once, else 40 ms later.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(2_048)
    except OSError as error:
        found.close()
        raise SetupError(
            f"{host}:{port} can't be listened on ({error.strerror}).", "Choose another with --host and --port."
        ) from error
    found.set_inheritable(True)
    return found


def serve(settings: Settings, listening: socket.socket, workers: int = 1) -> None:
    """Serve until the process is told to end; requests that are under way are answered first."""
    # Workers get them pickled, which what `load_settings` returns can't be.
    plain = Settings.model_construct(**dict(settings))
    config = uvicorn.Config(
        partial(_app, plain),
        factory=True,
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.service.shutdown_s,
        # One that is still importing, on a busy machine, would be ended and started anew without end.
        timeout_worker_healthcheck=_WORKER_STARTS_S,
        lifespan="on",
    )
    set_up_logs()
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listening])
    else:
        with shared_metrics():
            Multiprocess(config, sockets=[listening]).run()


def _app(settings: Settings) -> FastAPI:
    set_up_logs()
    app = make_app(settings)
    # What was loaded until now stays: no collection of garbage looks at it again, which else holds up answers.
    gc.collect()
    gc.freeze()
    return app
