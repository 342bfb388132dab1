"""Rows of other sources on their way through a file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from es_recsys.locks import file_lock
from es_recsys.sources import read_rows
from es_recsys.sources.input_files import as_paths, shown_path
from es_recsys.sources.spool import Spool, spool_folder
from es_recsys.sources.tables import open_tables


def test_rows_come_back_under_the_name_of_their_source(tmp_path: Path) -> None:
    row = {"id": 1, "price": Decimal("9.50"), "count": Decimal(3), "at": datetime(2026, 1, 2, tzinfo=UTC), "on": date(2026, 1, 3)}
    with spool_folder(tmp_path) as folder, Spool(folder, "orders") as spool:
        spool.write([row, {"raw": b"\x00", "text": "é"}])
        table = spool.table()
        assert table.count == 2 and shown_path(table) == Path("orders")
        assert table.path.stat().st_mode & 0o077 == 0, "nobody else may read it"
        first, second = (row for opened in open_tables(as_paths(table)) for row in opened.rows)
        assert first.file == Path("orders")
        assert first.values == {"id": 1, "price": 9.5, "count": 3, "at": "2026-01-02T00:00:00+00:00", "on": "2026-01-03"}
        assert second.values == {"raw": None, "text": "é"}
        assert len(list(read_rows(table.path))) == 2
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_removed_and_that_of_another_stays(tmp_path: Path) -> None:
    for name in ("left", "running"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl.gz").write_bytes(b"personal")
        (tmp_path / f"{name}.lock").touch()
    with file_lock(tmp_path / "running.lock"):
        with spool_folder(tmp_path):
            pass
        assert {path.name for path in tmp_path.iterdir()} == {"running", "running.lock"}
