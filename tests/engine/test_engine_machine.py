from __future__ import annotations

import sys
from pathlib import Path

import pytest

from es_recsys.engine import machine
from es_recsys.errors import EngineError

MIB = machine.MIB


def _write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _machine(root: Path, available_mib: int) -> None:
    _write(root, proc__meminfo=f"MemTotal:  99999999 kB\nMemAvailable:   {available_mib * 1024} kB\n")


linux = pytest.mark.skipif(sys.platform != "linux", reason="these files are Linux's")


@linux
def test_the_system_tells_what_is_available(tmp_path: Path) -> None:
    _machine(tmp_path, 4000)
    assert machine.available_memory(tmp_path) == 4000 * MIB


@linux
def test_the_tightest_limit_of_the_group_and_those_above_counts(tmp_path: Path) -> None:
    _machine(tmp_path, 4000)
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/self/cgroup").write_text("0::/outer/inner\n")
    for folder, limit, used, cached in (("outer", 2000 * MIB, 1500 * MIB, 100 * MIB), ("outer/inner", "max", 1400 * MIB, 0)):
        place = tmp_path / "sys/fs/cgroup" / folder
        place.mkdir(parents=True)
        (place / "memory.max").write_text(f"{limit}\n")
        (place / "memory.current").write_text(f"{used}\n")
        (place / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")
    assert machine.available_memory(tmp_path) == 600 * MIB


@linux
def test_an_older_kernels_limit_counts_and_its_no_limit_does_not(tmp_path: Path) -> None:
    _machine(tmp_path, 4000)
    place = tmp_path / "sys/fs/cgroup/memory"
    place.mkdir(parents=True)
    (place / "memory.limit_in_bytes").write_text(f"{1000 * MIB}\n")
    (place / "memory.usage_in_bytes").write_text(f"{900 * MIB}\n")
    assert machine.available_memory(tmp_path) == 100 * MIB
    (place / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert machine.available_memory(tmp_path) == 4000 * MIB


@linux
def test_a_system_that_tells_nothing_is_let_through(tmp_path: Path) -> None:
    assert machine.available_memory(tmp_path) is None
    machine.check_memory("1g", None)


@pytest.mark.parametrize(("heap", "size"), [("512m", 512 * MIB), ("2g", 2048 * MIB)])
def test_heaps_are_read(heap: str, size: int) -> None:
    assert machine.heap_bytes(heap) == size
    assert machine.memory_needed(heap) > size


def test_too_little_memory_is_refused_with_both_figures_and_the_setting() -> None:
    needed = machine.memory_needed("1g")
    machine.check_memory("1g", needed)
    with pytest.raises(EngineError) as raised:
        machine.check_memory("1g", needed - 1)
    assert f"{needed // MIB:,} MiB" in raised.value.what and f"{(needed - 1) // MIB:,} MiB" in raised.value.what
    assert "ES_RECSYS_HEAP" in raised.value.remedy


def test_a_disk_that_is_too_full_is_refused_with_its_place(tmp_path: Path) -> None:
    machine.check_disk(tmp_path, machine.MIN_FREE_DISK)
    with pytest.raises(EngineError) as raised:
        machine.check_disk(tmp_path, machine.MIN_FREE_DISK - 1)
    assert str(tmp_path) in raised.value.what
    assert "ES_RECSYS_HOME" in raised.value.remedy


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_the_one_above(tmp_path: Path) -> None:
    assert machine.free_disk(tmp_path / "a" / "b") > 0
