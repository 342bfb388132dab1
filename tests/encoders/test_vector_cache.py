from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_recsys.encoders.base import l2_normalize
from es_recsys.encoders.vector_cache import VectorCache

MODEL = "0" * 32


def rows(n: int, dims: int = 8, seed: int = 1) -> dict[bytes, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = l2_normalize(rng.normal(size=(n, dims)))
    return {seed.to_bytes(4, "big") + row.to_bytes(12, "big"): vectors[row] for row in range(n)}


def same(left: dict[bytes, np.ndarray], right: dict[bytes, np.ndarray]) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[key], right[key]) for key in left)


@settings(max_examples=20)
@given(st.integers(0, 1_200), st.integers(1, 50), st.data())
def test_gives_back_what_it_got_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, n: int, dims: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    kept, asked = rows(n, dims), list(rows(n + 3, dims))
    data.draw(st.randoms(use_true_random=False)).shuffle(asked)
    cache = VectorCache(folder)
    cache.put(MODEL, kept)
    assert same(cache.get(MODEL, dims, asked), kept)
    cache.close()
    assert same(VectorCache(folder).get(MODEL, dims, asked), kept)


def test_two_models_never_share_a_vector(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path)
    cache.put(MODEL, rows(3))
    assert cache.get("1" * 32, 8, list(rows(3))) == {}


def test_vectors_of_another_size_or_spoilt_by_the_disk_are_computed_again(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path)
    kept = rows(4)
    keys = list(kept)
    cache.put(MODEL, kept | {keys[1]: np.full(8, np.nan, np.float32), keys[2]: np.zeros(8, np.float32)})
    assert set(cache.get(MODEL, 8, keys)) == {keys[0], keys[3]}
    assert cache.get(MODEL, 9, keys) == {}


def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = VectorCache(tmp_path)
    cache.put(MODEL, rows(100))
    cache.close()
    path = cache.path(MODEL)
    path.write_bytes(b"no database at all" * 1_000)
    assert cache.get(MODEL, 8, list(rows(100))) == {}
    assert "damaged" in caplog.text
    cache.put(MODEL, rows(100))
    assert same(cache.get(MODEL, 8, list(rows(100))), rows(100))
    assert path.with_name(path.name + ".damaged").exists()


def test_damage_inside_the_file_costs_no_more_than_the_vectors(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path)
    cache.put(MODEL, rows(2_000, 64))
    cache.close()
    data = bytearray(cache.path(MODEL).read_bytes())
    data[len(data) // 3 : len(data) // 2] = np.random.default_rng(5).bytes(len(data) // 2 - len(data) // 3)
    cache.path(MODEL).write_bytes(data)
    expected = rows(2_000, 64)
    for key, vector in cache.get(MODEL, 64, list(expected)).items():
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
        assert key in expected
    cache.put(MODEL, expected)
    assert same(cache.get(MODEL, 64, list(expected)), expected)


def test_where_it_cannot_be_written_the_work_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "vectors").write_text("a file where the folder should be")
    cache = VectorCache(tmp_path)
    cache.put(MODEL, rows(3))
    assert cache.get(MODEL, 8, list(rows(3))) == {}
    assert "can't be used" in caplog.text


def test_threads_share_it(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path)

    def work(seed: int) -> None:
        for _ in range(5):
            cache.put(MODEL, rows(50, seed=seed))
            assert same(cache.get(MODEL, 8, list(rows(50, seed=seed))), rows(50, seed=seed))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        assert same(cache.get(MODEL, 8, list(rows(50, seed=seed))), rows(50, seed=seed))


WRITER = """
import sys
from pathlib import Path
import numpy as np
from es_recsys.encoders.vector_cache import VectorCache

cache = VectorCache(Path(sys.argv[1]))
start = int(sys.argv[2])
vector = np.eye(1, 256, dtype=np.float32)[0]
for batch in range(start, start + int(sys.argv[3])):
    cache.put("0" * 32, {(batch * 100 + row).to_bytes(16, "big"): vector for row in range(100)})
    print(batch, flush=True)
"""


def writer(folder: Path, start: int, batches: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(start), str(batches)], stdout=subprocess.PIPE, text=True
    )


def keys_of(batches: range) -> list[bytes]:
    return [(batch * 100 + row).to_bytes(16, "big") for batch in batches for row in range(100)]


def test_a_kill_in_mid_write_loses_at_most_the_batch_being_written(tmp_path: Path) -> None:
    process = writer(tmp_path, 0, 1_000_000)
    assert process.stdout is not None
    written = [int(process.stdout.readline()) for _ in range(20)]
    time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    written += [int(line) for line in process.stdout.read().split()]
    cache = VectorCache(tmp_path)
    assert len(cache.get(MODEL, 256, keys_of(range(written[-1] + 1)))) == 100 * (written[-1] + 1)
    assert len(cache.get(MODEL, 256, keys_of(range(written[-1] + 1, written[-1] + 2)))) in (0, 100)
    cache.put(MODEL, rows(5, 256))
    assert same(cache.get(MODEL, 256, list(rows(5, 256))), rows(5, 256))


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    processes = [writer(tmp_path, start, 30) for start in (0, 30)]
    for process in processes:
        process.communicate(timeout=250)
        assert process.returncode == 0
    assert len(VectorCache(tmp_path).get(MODEL, 256, keys_of(range(60)))) == 6_000
