"""An Elasticsearch that is reached through nginx alone, by TLS and with an API key."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from odd_index import clicks, make_odd_index

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx (Debian: apt install nginx-light)"),
]

KEY = "c2VjcmV0LW9mLXRoZS1zaG9w"
CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_max_body_size 100m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/ca.pem; ssl_certificate_key {folder}/key.pem;
    location / {{
      if ($http_authorization != "ApiKey {key}") {{ return 401; }}
      proxy_pass {url}; proxy_http_version 1.1; proxy_set_header Authorization ""; proxy_set_header Connection "";
    }}
  }}
}}
"""


@pytest.fixture
def address(es_url: str, tmp_path: Path) -> Iterator[str]:
    """Address of an nginx before the session's Elasticsearch; its certificate is ca.pem in the test's folder."""
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "ca.pem")]
    subprocess.run([*made, *files], check=True, capture_output=True)
    port, place = _free_port(), urlsplit(es_url)
    config = tmp_path / "nginx.conf"
    config.write_text(CONFIG.format(folder=tmp_path, port=port, key=KEY, url=f"http://{place.hostname}:{place.port}"))
    process = subprocess.Popen(["nginx", "-c", str(config), "-p", str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def test_six_commands_lead_to_a_personal_answer(es: Elasticsearch, address: str, store_name: str, tmp_path: Path) -> None:
    port = _free_port()
    replaced = {
        "https://search.example.org:9200": address,
        "API_KEY=...": f"API_KEY={KEY}",
        "CA_CERTS=ca.pem": f"CA_CERTS={tmp_path / 'ca.pem'}",
        "INDEX=shop": f"INDEX={store_name}",
        "serve &": f"serve --port {port} &\nserving=$!",
        "localhost:8000": f"localhost:{port}",
        "products": make_odd_index(es, store_name, 40),
        "ubi_events": f"{store_name}_ubi_events",
    }
    bulk(es, ({"_index": replaced["ubi_events"], "_source": each} for each in clicks(40)), refresh=True)
    page = (Path(__file__).parents[2] / "docs" / "existing-index.md").read_text(encoding="utf-8")
    block = page.split("## Behind TLS")[1].split("```")[1].removeprefix("sh")
    assert len(re.sub(r"\\\n", "", block).strip().splitlines()) == 6
    for written, meant in replaced.items():
        assert written in block
        block = block.replace(written, meant)
    script = f"set -eu\n{block}\nkill $serving; wait $serving || true\n"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ES_RECSYS_HOME": str(tmp_path / "home"),
        "ES_RECSYS_CACHE": str(tmp_path / "cache"),
        "ES_RECSYS_ENCODERS__TEXT": "none",
        "ES_RECSYS_ENCODERS__IMAGE": "none",
        "ES_RECSYS_SERVICE__DEADLINE_S": "30",
    }
    done = subprocess.run(["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["_es_recsys"]["personal"] is True
    own = es.search(index=replaced["products"], query={"match": {"name.en": "shoe"}})
    assert answer["hits"]["total"] == own["hits"]["total"]
    assert [hit["_id"] for hit in answer["hits"]["hits"]] != [hit["_id"] for hit in own["hits"]["hits"]]
    assert KEY not in done.stderr + done.stdout


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
