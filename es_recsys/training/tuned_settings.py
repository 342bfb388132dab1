"""Settings of models that `tune model` found, kept with the store until `train` uses them; and the trials of all tuning."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from es_recsys.errors import ModelError
from es_recsys.models import MODELS
from es_recsys.models.base import Model, from_json, to_json
from es_recsys.private import make_folder
from es_recsys.renamed import MODELS as RENAMED
from es_recsys.renamed import current_keys, spellings
from es_recsys.settings import Settings

__all__ = ["load_tuned", "save_history", "save_tuned", "tuned_path", "tuning_histories"]

_HISTORY = ".history.json"


def tuned_path(settings: Settings, name: str) -> Path:
    """Return the path where the settings of a model lie."""
    return settings.store_home / "tuned" / f"{name}.json"


def save_tuned(
    settings: Settings, name: str, values: Mapping[str, Any], *, ordered: bool, timed: bool, base: Any | None = None
) -> Path:
    """Store values of the model's space, setting -> value, and return the path.

    base: config that they are applied to; `default_config(ordered, timed)` unless given.
    """
    path = tuned_path(settings, name)
    make_folder(path.parent)
    found = {"ordered": ordered, "timed": timed, "settings": dict(values)}
    if base is not None:
        found["base"] = to_json(asdict(base))
    content = json.dumps(found, indent=1) + "\n"
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as draft:
        draft.write(content)
    Path(draft.name).replace(path)
    return path


def load_tuned(settings: Settings, name: str) -> Any | None:
    """Return the tuned config of a model; None where there is none.

    Raises ModelError for a file that doesn't fit the model.
    """
    path = next((path for path in (tuned_path(settings, one) for one in spellings(name, RENAMED)) if path.exists()), None)
    if path is None:
        return None
    kind = MODELS[name]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        ordered, timed = bool(content["ordered"]), bool(content["timed"])
        space = kind.search_space(ordered, timed)
        config = _base(kind, content, ordered, timed)
        for setting, stored in current_keys(content["settings"], kind.renamed_params).items():
            value = _value(stored)
            if value not in space[setting]:
                raise ValueError(setting)
            config = kind.with_param(config, setting, value)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} doesn't describe {name}.", f"Tune again with `es-recsys tune model {name}`, or remove it."
        ) from error
    return config


def _base(kind: type[Model], content: Mapping[str, Any], ordered: bool, timed: bool) -> Any:
    given = content.get("base")  # older files have none
    if given is None:
        return kind.default_config(ordered, timed)
    return from_json(kind.config_class, current_keys(given, kind.renamed_params))


def save_history(settings: Settings, name: str, history: Mapping[str, Any]) -> None:
    """Store the trials of a tuning, for the page that plots them.

    name: of what was tuned.
    """
    path = tuned_path(settings, name).with_suffix(_HISTORY)
    make_folder(path.parent)
    path.write_bytes(orjson.dumps(history, option=orjson.OPT_INDENT_2))


def tuning_histories(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return what was tuned in this store -> history of the trials that its last tuning made."""
    found = {}
    for path in sorted(tuned_path(settings, "x").parent.glob(f"*{_HISTORY}")):
        try:
            found[path.name.removesuffix(_HISTORY)] = orjson.loads(path.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            continue  # only a picture of the report would be missing
    return found


def _value(stored: Any) -> Any:
    return tuple(_value(one) for one in stored) if isinstance(stored, list) else stored
