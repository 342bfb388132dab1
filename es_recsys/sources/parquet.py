"""Parquet, a batch of rows at a time. polars is imported only here, and only when such a file is read."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from es_recsys.errors import InputError
from es_recsys.sources.input_files import InputFile

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ParquetFile", "open_parquet"]

_BATCH = 8_192


class ParquetFile:
    """An open Parquet file: `columns` in its order without those that hold bytes (`left_out`), `count` rows."""

    def __init__(self, path: Path, shown: Path) -> None:
        import polars as pl

        self._path = shown
        try:
            frame = pl.scan_parquet(path)
            schema = frame.collect_schema()
            self.count = int(frame.select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._broken() from error
        self.left_out = [name for name, kind in schema.items() if kind in (pl.Binary, pl.Object)]
        self.columns = [name for name in schema.names() if name not in self.left_out]
        self._frame = frame.select(self.columns)

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number (from 1) and values of each row."""
        import polars as pl

        number = 0
        try:
            for batch in self._batches():
                for values in batch.iter_rows(named=True):
                    number += 1
                    yield number, values
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._broken(f" after row {number}") from error

    def _batches(self) -> Iterator[pl.DataFrame]:
        yield from self._frame.collect_batches(chunk_size=_BATCH, maintain_order=True)

    def _broken(self, where: str = "") -> InputError:
        return InputError(f"{self._path} is cut off or damaged{where}.", "Fetch or make it anew.")


@contextmanager
def open_parquet(source: InputFile) -> Iterator[ParquetFile]:
    """Open the file, unpacked to a temporary one first where it is gzipped: the format is read from its end."""
    if not source.gzipped:
        yield ParquetFile(source.path, source.path)
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as whole:
        try:
            with gzip.open(source.path) as packed:
                shutil.copyfileobj(packed, whole, 1 << 20)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{source.path} is cut off or damaged ({error}).", "Fetch or make it anew.") from error
        whole.flush()
        yield ParquetFile(Path(whole.name), source.path)
