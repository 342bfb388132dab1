"""The Compose file is of the form that the specification gives, opens nothing to other machines, and holds no secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[1]

TEXT = {"type": "string", "minLength": 1}
SCALAR = {"type": ["string", "number", "boolean", "null"]}
DURATION = {"type": "string", "pattern": r"^(\d+(\.\d+)?(us|ms|s|m|h))+$"}
SIZE = {"type": "string", "pattern": r"^(\d+[bkmg]b?|\$\{[A-Z_]+:-\d+[bkmg]b?\})$"}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _named(values: Any, pattern: str = "^[a-zA-Z0-9._-]+$") -> dict[str, Any]:
    return {"type": "object", "patternProperties": {pattern: values}, "additionalProperties": False, "minProperties": 1}


SERVICE = _object(
    required=("image",),
    image=TEXT,
    environment=_named(SCALAR),
    ports={"type": "array", "items": TEXT, "uniqueItems": True},
    volumes={"type": "array", "items": {"type": "string", "pattern": "^[a-z]+:/[^:]+(:ro)?$"}, "uniqueItems": True},
    mem_limit=SIZE,
    ulimits=_named(_object(("soft", "hard"), soft={"type": "integer"}, hard={"type": "integer"})),
    security_opt={"type": "array", "items": TEXT, "uniqueItems": True},
    restart={"enum": ["no", "always", "on-failure", "unless-stopped"]},
    healthcheck=_object(
        ("test",),
        test={
            "type": "array",
            "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}],
            "items": TEXT,
            "minItems": 2,
        },
        interval=DURATION,
        timeout=DURATION,
        start_period=DURATION,
        retries={"type": "integer", "minimum": 1},
    ),
)
SCHEMA = _object(
    required=("services",),
    name={"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
    services=_named(SERVICE),
    volumes=_named({"type": ["null", "object"], "maxProperties": 0}),
)
"""The part of the Compose specification that the file uses; anything else is an error."""

VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(:[-?][^}]*)?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    """Variables of .env.example, those in comments too: name -> value."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    found = (re.fullmatch(r"(?:# )?([A-Z][A-Z_]+)=(\S*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_the_file_is_of_the_specifications_form(compose: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(compose)


@pytest.mark.parametrize(
    "fault",
    [
        {"ports": [9200]},
        {"port": ["1:1"]},
        {"healthcheck": {"test": ["curl", "x"]}},
        {"restart": "sometimes"},
        {"mem_limit": "lots"},
    ],
)
def test_the_schema_refuses_faults(compose: dict[str, Any], fault: dict[str, Any]) -> None:
    broken = {**compose, "services": {"elasticsearch": {**compose["services"]["elasticsearch"], **fault}}}
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(broken)


def test_every_port_is_open_to_this_machine_alone(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == len(compose["services"])
    for port in ports:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-(\d+)\}:\1", port), port


def test_every_service_has_a_healthcheck(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service.get("healthcheck", {}).get("test"), name


def test_every_named_volume_is_declared_and_used(compose: dict[str, Any]) -> None:
    used = {volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])}
    assert used == set(compose["volumes"])


def test_security_is_on_and_passwords_come_from_outside(compose: dict[str, Any], example: dict[str, str]) -> None:
    assert compose["services"]["elasticsearch"]["environment"]["xpack.security.enabled"] == "true"
    secrets = [
        (key, str(value))
        for service in compose["services"].values()
        for key, value in service["environment"].items()
        if re.search("password|secret|token|key", key, re.IGNORECASE)
    ]
    assert len(secrets) == 2
    for key, value in secrets:
        # ":?" makes compose refuse to start without it; a default would be a password that everybody knows.
        match = re.fullmatch(r"\$\{([A-Z_]+):\?[^}]+\}", value)
        assert match, key
        assert example[match[1]] == "", "the example must not suggest a password"


def test_the_example_has_every_variable_with_the_files_default(compose: dict[str, Any], example: dict[str, str]) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found = {match[1]: match[2] or "" for match in VARIABLE.finditer(text)}
    for name, rest in found.items():
        assert name in example, name
        if rest.startswith(":-"):
            assert example[name] == rest[2:], name


def test_the_server_is_the_one_that_is_tested_and_the_address_is_its_port(example: dict[str, str]) -> None:
    from es_recsys.engine.jars import VERSION

    assert example["ELASTICSEARCH_VERSION"] == VERSION
    assert example["ES_RECSYS_URL"] == f"http://127.0.0.1:{example['ELASTICSEARCH_PORT']}"
    assert example["ES_RECSYS_SQL_URL"].endswith(f"@127.0.0.1:{example['POSTGRESQL_PORT']}/es_recsys")


def test_the_examples_variables_are_settings(example: dict[str, str]) -> None:
    from es_recsys.settings import Settings

    ours = {name.removeprefix("ES_RECSYS_").lower() for name in example if name.startswith("ES_RECSYS_")}
    assert ours and ours <= set(Settings.model_fields)
