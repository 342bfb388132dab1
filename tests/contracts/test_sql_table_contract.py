"""A table of others is read alike from every kind of database."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from es_recsys.errors import InputError, SetupError
from es_recsys.sources import read_rows
from es_recsys.sources.spool import Spool, spool_folder
from es_recsys.sources.sql_table import SqlTable

COUNT = 5_000


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database with 5,000 orders, one a minute, in a table and a view."""
    url = f"sqlite:///{tmp_path / 'shop.db'}" if request.param == "sqlite" else request.getfixturevalue("postgresql")
    engine = sa.create_engine(url)
    times = "TIMESTAMP" if request.param == "sqlite" else "TIMESTAMP WITHOUT TIME ZONE"
    with engine.begin() as connection:
        for statement in (
            "DROP VIEW IF EXISTS shipped",
            "DROP TABLE IF EXISTS orders",
            f"CREATE TABLE orders (number INTEGER, customer TEXT, total NUMERIC(10, 2), paid BOOLEAN, at {times}, day DATE)",
            "CREATE VIEW shipped AS SELECT number, at FROM orders WHERE number < 10",
        ):
            connection.execute(sa.text(statement))
        row = "(:number, :customer, 9.5, true, :at, '2026-01-01')"
        connection.execute(
            sa.text(f"INSERT INTO orders VALUES {row}"),
            [{"number": n, "customer": f"é{n}", "at": f"2026-01-01 {n // 60 % 24:02d}:{n % 60:02d}:00"} for n in range(COUNT)],
        )
    engine.dispose()
    return url


def _read(table: SqlTable, folder: Path, **given: object) -> list[dict[str, object]]:
    with spool_folder(folder) as place, Spool(place, table.name) as spool:
        for part in table.rows(**given):  # type: ignore[arg-type]
            spool.write(part)
        return [row.values for row in read_rows(spool.table().path)]


def test_rows_come_with_values_that_json_has(url: str, tmp_path: Path) -> None:
    table = SqlTable(url, "orders")
    rows = _read(table, tmp_path)
    table.close()
    assert len(rows) == table.count() == COUNT
    first = next(row for row in rows if row["number"] == 61)
    assert first == {**first, "customer": "é61", "total": 9.5, "at": "2026-01-01T01:01:00", "day": "2026-01-01"}
    assert bool(first["paid"])


def test_only_what_is_newer_is_read_with_some_overlap(url: str, tmp_path: Path) -> None:
    table = SqlTable(url, "orders")
    mark = table.highest("at")
    assert mark == "2026-01-01T23:59:00"
    newest = _read(table, tmp_path, after=("at", mark), only=("number", "at"))
    assert {row["at"] for row in newest} == {mark} and set(newest[0]) == {"number", "at"}
    with_overlap = _read(table, tmp_path, after=("at", mark), overlap_s=120.0)
    assert {row["at"] for row in with_overlap} == {f"2026-01-01T23:{minute}:00" for minute in (57, 58, 59)}
    number = table.highest("number")
    assert number == COUNT - 1
    assert len(_read(table, tmp_path, after=("number", number))) == 1


def test_a_view_is_a_table_and_what_is_not_there_is_told(url: str, tmp_path: Path) -> None:
    assert len(_read(SqlTable(url, "shipped"), tmp_path)) == 10
    with pytest.raises(InputError, match="Did you mean shipped"):
        SqlTable(url, "shiped")


def test_nothing_can_be_written(url: str) -> None:
    table = SqlTable(url, "orders")
    with pytest.raises(SetupError, match=r"read-?only"), table._reading() as connection:
        connection.execute(sa.text("DELETE FROM orders"))
    assert table.count() == COUNT
    table.close()


@pytest.mark.parametrize(
    ("url", "told"), [("nothing", "no URL"), ("postgresql://a:b@127.0.0.1/x", "password"), ("nosuch://a/b", "knows no database")]
)
def test_what_is_no_database_is_told(url: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        SqlTable(url, "orders")
