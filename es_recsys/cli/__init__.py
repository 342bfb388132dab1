"""The command line. Modules here import what they need inside their commands, so that `--help` is quick."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of `es-recsys`. Exit codes: 0 done, 1 other error, 2 unusable input, 3 set-up (engine, packages),
    4 state of the index, 5 model, 6 documents refused, 130 interrupted."""
    from es_recsys.cli.app import app
    from es_recsys.cli.terminal import printable
    from es_recsys.errors import RecsysError

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
