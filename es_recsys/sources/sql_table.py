"""Reads a table or view of a database that isn't ours. Nothing is ever written to it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from es_recsys.errors import InputError, MissingExtra, SetupError

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["SqlTable"]

_BATCH = 2_000


class SqlTable:
    """A table or view (`orders`, `shop.orders`) of the database at `url` (SQLAlchemy's).

    username, password: in place of those of the URL. Raises InputError for a URL that can't be read or holds a password, which
    others would see among the processes, and for an unknown table; MissingExtra without the driver; SetupError where the database
    doesn't answer. No message has the URL.
    """

    def __init__(self, url: str, table: str, username: str | None = None, password: str | None = None) -> None:
        import sqlalchemy as sa

        self.name = table
        self._engine = _engine(url, username, password)
        self.address = self._engine.url.set(username=None, password=None).render_as_string()
        schema, _, name = table.rpartition(".")
        with self._reachable():
            try:
                self._table = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=self._engine)
            except sa.exc.NoSuchTableError:
                raise self._unknown(name, schema or None) from None
        self.columns = tuple(column.name for column in self._table.columns)

    def count(self) -> int:
        """Return how many rows there are."""
        import sqlalchemy as sa

        with self._reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(self._table)).scalar_one())

    def highest(self, column: str) -> float | str | None:
        """Return the highest value of a column: a number or a text, of times in ISO 8601; None where no row has one."""
        import sqlalchemy as sa

        with self._reading() as connection:
            value = connection.execute(sa.select(sa.func.max(self._table.c[column]))).scalar_one()
        if value is None or isinstance(value, str):
            return value
        return value.isoformat() if hasattr(value, "isoformat") else float(value)

    def rows(
        self, after: tuple[str, float | str] | None = None, overlap_s: float = 0.0, only: Sequence[str] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield all rows, some thousand at once.

        after: a column and a value of `highest`: only rows with this or more. overlap_s: by how much times may be earlier. only:
        these columns.
        """
        import sqlalchemy as sa

        query = sa.select(*(self._table.c[name] for name in only or self.columns))
        if after is not None:
            column = self._table.c[after[0]]
            query = query.where(column >= _bound(column, after[1], overlap_s, self._engine.dialect.name == "sqlite"))
        with self._reading() as connection:
            found = connection.execution_options(stream_results=True, yield_per=_BATCH).execute(query)
            for part in found.mappings().partitions():
                yield [dict(row) for row in part]

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._reachable(), self._engine.connect() as connection:
            if self._engine.dialect.name == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
            yield connection

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        import sqlalchemy as sa

        try:
            yield
        except sa.exc.DBAPIError as error:
            first = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0].rstrip(".")
            raise SetupError(
                f"The table {self.name} can't be read ({first}).",
                "Check --from-sql, ES_RECSYS_FROM_USERNAME, ES_RECSYS_FROM_PASSWORD, and that this user may read the table.",
            ) from None

    def _unknown(self, name: str, schema: str | None) -> InputError:
        import sqlalchemy as sa

        inspector = sa.inspect(self._engine)
        names = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        return InputError(f"There is no table {self.name}.{meant}", f"There are {', '.join(names[:20]) or 'none'}.")


def _engine(url: str, username: str | None, password: str | None) -> sa.Engine:
    import sqlalchemy as sa

    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InputError("--from-sql is no URL.", "Write it as postgresql://HOST/DATABASE or sqlite:///FILE.") from None
    if parsed.password is not None:
        raise InputError(
            "--from-sql holds a password, which others see among the processes.", "Leave it out, and set ES_RECSYS_FROM_PASSWORD."
        )
    if parsed.get_backend_name() == "sqlite":
        if not Path(parsed.database or "").is_file():
            raise InputError(f"There is no database {parsed.database}.", "Write --from-sql as sqlite:///FILE.")
        return sa.create_engine(parsed.set(database=f"file:{parsed.database}", query={"mode": "ro", "uri": "true"}))
    parsed = parsed.set(username=username or parsed.username, password=password)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        return sa.create_engine(parsed)
    except sa.exc.NoSuchModuleError:
        raise InputError(
            f"SQLAlchemy knows no database {parsed.drivername}.", "Install its dialect, or mend --from-sql."
        ) from None
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "postgresql" if "psycopg" in str(error.name) else str(error.name)) from error


def _bound(column: sa.Column[Any], value: float | str, overlap_s: float, is_sqlite: bool) -> Any:
    """Return a stored value of `highest` as the column has it, times earlier by the overlap."""
    import sqlalchemy as sa

    if isinstance(value, str) and isinstance(column.type, sa.DateTime):
        moment = datetime.fromisoformat(value) - timedelta(seconds=overlap_s)
        # SQLite compares texts, with or without a fraction of the second.
        return sa.literal(f"{moment:%Y-%m-%d %H:%M:%S}", sa.Text()) if is_sqlite else moment
    if isinstance(value, str) and isinstance(column.type, sa.Date):
        return datetime.fromisoformat(value).date()
    return value
