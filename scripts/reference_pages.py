"""Fill docs/reference from the code while the site is built: commands, settings, errors and paths of the service.

A page has a line `<!-- generated: NAME -->`, after which comes what the code says today, so nothing there is written by hand or
out of date. mkdocs.yml names this file as a hook. `python scripts/reference_pages.py NAME` prints one of them.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

GENERATED = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the places of a page, for mkdocs."""
    return GENERATED.sub(lambda place: PARTS[place.group(1)](), markdown)


def commands() -> str:
    """Return all commands of the command line, with their arguments and options."""
    from typer.main import get_command

    from es_recsys.cli.app import app

    return "\n\n".join(_describe_command(command, path) for path, command in walk_commands(get_command(app), ("es-recsys",)))


def walk_commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command that does something, with the words by which it is called."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from walk_commands(inner, (*path, name))
    else:
        yield path, command


def _describe_command(command: Any, path: tuple[str, ...]) -> str:
    with command.make_context(" ".join(path), [], resilient_parsing=True) as context:
        usage = " ".join(command.collect_usage_pieces(context))
        records = [record for one in command.get_params(context) if (record := one.get_help_record(context)) is not None]
    rows = [(f"`{name}`", _plain(text)) for name, text in records if name != "--help"]
    heading = f"## {' '.join(path[1:])}\n\n{_plain(command.help)}\n\n```\n{' '.join(path)} {usage}\n```"
    return f"{heading}\n\n{_table(('argument or option', 'what'), rows)}"


def settings() -> str:
    """Return all settings: name, environment variable, default, range, and what each is."""
    from es_recsys.settings import Settings

    groups: dict[str, list[tuple[str, ...]]] = {}
    titles = {"": "The store and its connections"}
    for path, field in walk_settings(Settings):
        group = ".".join(path[:-1])
        groups.setdefault(group, []).append(
            (f"`{path[-1]}`", _plain(field.description), _default(field), _range(field), f"`{environment_variable(path)}`")
        )
    header = ("name", "what", "default", "range", "environment")
    return "\n\n".join(f"## {titles.get(group, f'[{group}]')}\n\n{_table(header, rows)}" for group, rows in groups.items())


def walk_settings(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Yield each setting that has a value of its own, with its name from the outermost group on."""
    nested = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            nested[name] = field.annotation
        else:
            yield (*path, name), field
    for name, inner in nested.items():
        yield from walk_settings(inner, (*path, name))


def environment_variable(path: tuple[str, ...]) -> str:
    """Return the environment variable of a setting."""
    return f"ES_RECSYS_{'__'.join(path).upper()}"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the user's own"
    if field.default in (None, PydanticUndefined, (), {}):
        return ""
    if isinstance(field.default, dict):
        return ", ".join(f"`{name}` {value:g}" for name, value in field.default.items())
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _range(field: FieldInfo) -> str:
    signs = {"ge": "at least {:,}", "gt": "above {:,}", "le": "at most {:,}", "lt": "below {:,}"}
    found = [
        words.format(getattr(bound, name)) for bound in field.metadata for name, words in signs.items() if hasattr(bound, name)
    ]
    patterns = [bound.pattern for bound in field.metadata if getattr(bound, "pattern", None)]
    found += [
        ", ".join(f"`{word}`" for word in pattern.strip("^$()").split("|")) if "|" in pattern else f"`{pattern}`"
        for pattern in patterns
    ]
    return ", ".join(found)


def errors() -> str:
    """Return the tree of errors, with the exit code of each."""
    from es_recsys.errors import RecsysError

    rows = [
        (f"{'&emsp;' * depth}`{kind.__name__}`", _plain(kind.__doc__), str(kind.exit_code))
        for depth, kind in walk_errors(RecsysError)
    ]
    return _table(("error", "what", "exit code"), rows)


def walk_errors(kind: type[Exception], depth: int = 0) -> Iterator[tuple[int, Any]]:
    """Yield an error and those that are kinds of it, with their depth in the tree."""
    from es_recsys import errors

    yield depth, kind
    for inner in sorted(kind.__subclasses__(), key=lambda inner: inner.__name__):
        if inner.__module__ == errors.__name__:
            yield from walk_errors(inner, depth + 1)


def paths() -> str:
    """Return the paths of the service, as its OpenAPI description has them."""
    parts = []
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            text = f"## {method.upper()} {path}\n\n{_plain(operation.get('description') or operation['summary'])}"
            rows = [
                (f"`{one['name']}`", one["in"], _plain(one.get("description", "")), _shown_schema(one.get("schema", {})))
                for one in operation.get("parameters", ())
            ]
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                rows += _body_rows(content["schema"], kind)
            parts.append(f"{text}\n\n{_table(('parameter', 'in', 'what', 'type'), rows)}" if rows else text)
    return "\n\n".join(parts)


def openapi() -> Mapping[str, Any]:
    """Return the OpenAPI description of the service."""
    from es_recsys.service.app import make_app
    from es_recsys.settings import Settings

    with tempfile.TemporaryDirectory() as home:
        return make_app(Settings(home=Path(home), cache=Path(home))).openapi()


def _body_rows(schema: Mapping[str, Any], kind: str, path: str = "") -> list[tuple[str, str, str, str]]:
    """Return the rows of what a body may have, each under its path from the body down."""
    inner = schema.get("properties", {})
    rows = []
    if "description" in schema or not inner:
        name = f"`{path}`" if path else "the whole"
        place = "body" if kind == "application/json" else f"body ({kind})"
        rows.append((name, place, _plain(schema.get("description", "")), _shown_schema(schema)))
    for name, one in inner.items():
        rows += _body_rows(one, kind, f"{path}.{name}" if path else name)
    return rows


def _shown_schema(schema: Mapping[str, Any]) -> str:
    kinds = [schema] if "type" in schema else schema.get("anyOf", ())
    return ", ".join(str(kind["type"]) for kind in kinds if kind.get("type") not in (None, "null"))


def _plain(text: str | None) -> str:
    """Return a docstring as Markdown of one line a paragraph; braces and stars stand as they are."""
    paragraphs = [" ".join(part.split()) for part in (text or "").split("\n\n")]
    return "\n\n".join(re.sub(r"([<>*_{}\[\]])(?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", r"\\\1", part) for part in paragraphs if part)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(cell.replace('|', '&#124;').replace(chr(10), ' ') for cell in cells)} |"

    return "\n".join([line(header), line(("---",) * len(header)), *(line(tuple(row)) for row in rows)])


PARTS: Mapping[str, Callable[[], str]] = {"commands": commands, "settings": settings, "errors": errors, "paths": paths}

if __name__ == "__main__":
    print(PARTS[sys.argv[1]]())
