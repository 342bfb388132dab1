"""The command line. Modules here import what they need inside their commands, so that `--help` is quick."""

from __future__ import annotations

import sys
import warnings
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Run the command line `es-recsys`.

    Exit codes: 0 done, 1 other error, 2 unusable input, 3 set-up (engine, packages), 4 state of the index, 5 model, 6
    documents refused, 130 interrupted.
    """
    from es_recsys.cli.app import app
    from es_recsys.cli.terminal import printable
    from es_recsys.errors import RecsysError
    from es_recsys.renamed import RenamedWarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
        if issubclass(category, RenamedWarning):
            sys.stderr.write(printable(f"Note: {message}\n"))
        else:
            show_others(message, category, *place, **options)

    show_others, warnings.showwarning = warnings.showwarning, show
    warnings.filterwarnings("once", category=RenamedWarning)
    try:
        app()
    except RecsysError as error:
        sys.stderr.write(printable(f"Error: {error.what}\n"))
        if error.remedy:
            sys.stderr.write(printable(f"{error.remedy}\n"))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader has seen enough (`| head`); nothing more may be written, not even at exit.
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
