"""Brings the database to this version's tables, at first use; safe with several processes at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from es_recsys.errors import SetupError
from es_recsys.events.schema import HEAD, VERSION_TABLE

if TYPE_CHECKING:
    import alembic.config

__all__ = ["configuration", "current", "upgrade"]

_FOLDER = Path(__file__).with_name("migrations")
_LOCK = 0x65735F7265637379  # "es_recsy"


def current(connection: sa.Connection) -> str | None:
    """Return the version that the database has, or None for an empty one."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608


def upgrade(connection: sa.Connection) -> None:
    """Run the migrations that are missing, inside the caller's write transaction.

    Raises SetupError where the database was made by a newer version of this package.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = current(connection)
    # Alembic takes .2 s to load, so it is left alone where another process was faster.
    if found == HEAD:
        return
    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = configuration()
    try:
        if found is not None:
            ScriptDirectory.from_config(config).get_revision(found)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    except CommandError as error:
        raise SetupError(
            f"The event store has tables of version {found}, which this version of es-recsys does not know.",
            "Upgrade es-recsys, or give another database in ES_RECSYS_SQL_URL.",
        ) from error


def configuration() -> alembic.config.Config:
    """Return Alembic's settings for the migrations in this package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
