"""The jars of the embedded node: downloaded through jgo, checked against the committed list, stored in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from es_recsys.errors import EngineError, MissingExtra

__all__ = ["COMPILER", "VERSION", "ensure_jars", "expected_digests", "find_damaged"]

VERSION = "9.2.0"
COMPILER = "3.42.0"
_ENDPOINTS = (
    f"org.elasticsearch:elasticsearch:{VERSION}+org.elasticsearch.plugin:transport-netty4:{VERSION}",
    f"org.eclipse.jdt:ecj:{COMPILER}",
)


def expected_digests() -> dict[str, str]:
    """Return file name -> SHA-256 (hex) of each jar, from the list that is committed beside this file."""
    lines = (resources.files("es_recsys.engine") / "jars.sha256").read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_damaged(folder: Path, digests: dict[str, str]) -> list[str]:
    """Return the names of the jars that are missing from `folder` or differ from their digest."""
    return [name for name, sha in digests.items() if not (folder / name).is_file() or _sha256(folder / name) != sha]


def ensure_jars(folder: Path) -> None:
    """Fill `folder` with every jar of the list. What is there and right is left alone, so a second call needs no network.

    Raises EngineError where a jar can't be fetched, or what was fetched is not what the list says.
    """
    digests = expected_digests()
    folder.mkdir(parents=True, exist_ok=True)
    missing = find_damaged(folder, digests)
    if not missing:
        return
    fetched = _download()
    for name in missing:
        if name not in fetched:
            raise EngineError(
                f"The jar {name} is not among what Elasticsearch {VERSION} asks for.",
                "Update es-recsys; its list of jars does not match that version.",
            )
        _install(fetched[name], folder / name, digests[name])


def _install(source: Path, target: Path, sha: str) -> None:
    # Copied first and checked after, so that what was checked is what runs.
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".jar-", delete=False) as draft:
        path = Path(draft.name)
    try:
        shutil.copyfile(source, path)
        if _sha256(path) != sha:
            raise EngineError(
                f"The jar {source} is not the one that was tested (its SHA-256 differs).",
                "Delete that file, so that it is fetched anew; if it comes back the same, don't run it.",
            )
        path.chmod(0o644)
        os.replace(path, target)  # noqa: PTH105
    finally:
        path.unlink(missing_ok=True)


def _download() -> dict[str, Path]:
    """Return file name -> path in the local Maven repository, downloaded where it was missing."""
    try:
        import jgo
    except ImportError:
        raise MissingExtra("jgo", "embedded") from None
    found: dict[str, Path] = {}
    try:
        for endpoint in _ENDPOINTS:
            for artifact in jgo.resolve(endpoint):
                path = Path(artifact.resolve())
                found[path.name] = path
    except Exception as error:  # jgo raises whatever its HTTP and XML libraries do
        raise EngineError(
            f"Elasticsearch {VERSION} can't be downloaded from Maven Central ({type(error).__name__}: {error}).",
            "Check the network and any proxy (HTTPS_PROXY), or give the URL of an Elasticsearch with --url or ES_RECSYS_URL.",
        ) from error
    return found
