"""Files read ahead while the model runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from es_recsys.encoders.base import PartialEncodingError
from es_recsys.errors import EncodingError

__all__ = ["encode_readable"]

_Tensor = TypeVar("_Tensor")


def encode_readable(
    batch: Sequence[Path | bytes],
    read: Callable[[Path | bytes], _Tensor],
    run: Callable[[Sequence[_Tensor]], NDArray[Any]],
    dims: int,
    size: int,
) -> NDArray[np.float32]:
    """Read pictures or sounds ahead on two threads while the model runs, `size` at a time; return (n, dims) float32.

    Raises PartialEncodingError for those that `read` refuses; the others' vectors are in it.
    """
    vectors = np.full((len(batch), dims), np.nan, np.float32)
    errors: dict[int, str] = {}

    def attempt(content: Path | bytes) -> _Tensor | str:
        try:
            return read(content)
        except EncodingError as error:
            return error.what

    with ThreadPoolExecutor(2, "contents") as pool:
        starts = range(0, len(batch), size)
        ahead = {start: [pool.submit(attempt, one) for one in batch[start : start + size]] for start in starts[:1]}
        for start in starts:
            following = start + size
            ahead[following] = [pool.submit(attempt, one) for one in batch[following : following + size]]
            results = {start + offset: future.result() for offset, future in enumerate(ahead.pop(start))}
            errors.update({row: result for row, result in results.items() if isinstance(result, str)})
            good = {row: result for row, result in results.items() if not isinstance(result, str)}
            if good:
                vectors[list(good)] = run(list(good.values()))
    if errors:
        raise PartialEncodingError(errors, vectors)
    return vectors
