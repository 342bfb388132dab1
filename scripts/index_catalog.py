"""Indexes a catalogue: files of items in, a searchable store out.

    python scripts/index_catalog.py FILE... [--url URL] [--index NAME] [--columns item_id=movieId,title=name] [--sync]

The same as `es-recsys items load` and, with --sync, `es-recsys items sync`; a script to copy where the catalogue comes from
somewhere else: `es_recsys.Client(...).insert_items(items)` takes any iterable of items.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from es_recsys.errors import RecsysError
from es_recsys.jobs.load_items import load_items
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import load_settings
from es_recsys.sources import ReadOptions, parse_columns


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="JSONL, CSV or Parquet; .gz too")
    parser.add_argument("--url", help="Elasticsearch's address; the embedded node where it is left out")
    parser.add_argument("--index", help="name of the store")
    parser.add_argument("--columns", default="", help="our names for the files' columns")
    parser.add_argument("--sync", action="store_true", help="the files are the whole catalogue: remove what they lack")
    parser.add_argument("--text", metavar="ENCODER", help='text encoder, or "none"')
    parser.add_argument("--images", metavar="ENCODER", help='image encoder, or "none"')
    arguments = parser.parse_args()
    try:
        settings = load_settings(url=arguments.url, index=arguments.index)
        named = {"text": arguments.text, "image": arguments.images}
        chosen = settings.encoders.model_copy(update={kind: name for kind, name in named.items() if name is not None})
        with Workspace(settings.model_copy(update={"encoders": chosen})) as work:
            report = load_items(
                work,
                arguments.files,
                ReadOptions(columns=parse_columns(arguments.columns)),
                whole=arguments.sync,
                # A line that can't be read would be an item that is gone.
                max_errors=0 if arguments.sync else 100,
            )
    except RecsysError as error:
        print(error, file=sys.stderr)
        return 1
    print(*report.lines(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
