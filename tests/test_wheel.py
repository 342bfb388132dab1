"""The wheel, built and installed elsewhere, stands without the repository."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
_PARTS = ("es_recsys", "mappings", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing is left in the working tree."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in _PARTS:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    _run([*_builder(), str(out)], cwd=source)
    (found,) = out.glob("es_recsys-*.whl")
    return found


def _builder() -> list[str]:
    try:
        import hatchling  # noqa: F401
    except ImportError:
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        if not Path(uv).exists():
            pytest.skip("neither hatchling nor uv is installed, so no wheel can be built")
        return [uv, "build", "--wheel", "--python", sys.executable, "--out-dir"]
    return [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d"]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a fresh environment that has the wheel; its other packages are those of this one."""
    place = tmp_path_factory.mktemp("elsewhere") / "venv"
    _run([sys.executable, "-m", "venv", "--without-pip", str(place)], cwd=place.parent)
    python = place / "bin" / "python"
    (packages,) = place.glob("lib/python*/site-packages")
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        _run([str(uv), "pip", "install", "--quiet", "--no-deps", "--python", str(python), str(wheel)], cwd=place)
    else:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
    # As a bare path, so that the editable install's own .pth isn't read.
    (packages / "dependencies.pth").write_text("\n".join(dict.fromkeys([sysconfig.get_path("purelib"), *site.getsitepackages()])))
    return python


def _run(words: list[str], cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ES_RECSYS", "VIRTUAL"))}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_wheel_holds_what_it_needs_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "mappings/items.json",
        "py.typed",
        "engine/jars.sha256",
        "engine/java/EmbeddedNode.java",
        "sample/personas.toml",
    ):
        assert f"es_recsys/{name}" in names
    assert any(name.endswith("entry_points.txt") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"es_recsys"}
    assert not [name for name in names if name.endswith((".pyc", ".class", ".jar"))]


def test_it_is_the_installed_package_that_runs(installed: Path, tmp_path: Path) -> None:
    out = _run([str(installed), "-c", "import es_recsys; print(es_recsys.__file__)"], cwd=tmp_path)
    assert out.startswith(str(installed.parents[1]))


def test_the_command_line_runs(installed: Path, tmp_path: Path) -> None:
    script = installed.with_name("es-recsys")
    words = [str(script)] if script.exists() else [str(installed), "-c", "from es_recsys.cli import main; main()"]
    out = _run([*words, "--help"], cwd=tmp_path)
    assert "Usage" in out
    assert "recommend" in out


def test_mappings_and_the_sample_store_are_found_inside(installed: Path, tmp_path: Path) -> None:
    code = (
        "from es_recsys.sample import sample_store\n"
        "from es_recsys.index import mappings\n"
        "print(sorted(mappings.load('items')), len(sample_store(items=8, users=2).items))"
    )
    assert _run([str(installed), "-c", code], cwd=tmp_path).strip() == "['mappings', 'settings'] 8"
