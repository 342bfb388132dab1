"""Alembic's entry: migrates on the connection that `events.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from es_recsys.events.schema import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
context.run_migrations()
