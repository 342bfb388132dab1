"""What a training tries by itself and can't do is left out and reported: the one place where that is decided."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from es_recsys.errors import InputError, ModelError, RecsysError
from es_recsys.training.selection_report import Notes

__all__ = ["Attempts", "reason_of"]

T = TypeVar("T")

_LONGEST = 200


class Attempts:
    """Runner of the steps of a training of which each may fail: without a vocabulary, without memory, inside a library.

    required: names of the models that were named by the caller, whose failure ends the training. Only what is an Exception is
    caught, so that Ctrl-C ends it as well.
    """

    def __init__(self, notes: Notes, required: Collection[str] = ()) -> None:
        self._notes = notes
        self._required = frozenset(required)

    def model(self, name: str, stage: str, act: Callable[[], T]) -> T | None:
        """Return what `act` returns for the model, or None where it fails, which is noted.

        stage: when, in words ("" for the first trial). Raises a RecsysError with the reason where the model is required.
        """
        try:
            return act()
        except Exception as error:
            if name in self._required:
                if isinstance(error, RecsysError):
                    raise
                raise ModelError(
                    f"The model {name} can't be trained: {reason_of(error)}",
                    "Train without it, or name no models, to have those chosen that can be.",
                ) from error
            self._notes.say(f"{name} is left out{stage and f' {stage}'}. {reason_of(error)}")
            self._notes.figures.setdefault("left_out", {})[name] = reason_of(error)
            return None

    def step(self, what: str, act: Callable[[], T], otherwise: T) -> T:
        """Return what `act` returns, or `otherwise` where it fails, which is noted.

        what: what is then done, in words. What the caller gave wrongly (InputError) is raised.
        """
        try:
            return act()
        except InputError:
            raise
        except Exception as error:
            self._notes.say(f"{what}: {reason_of(error)}")
            return otherwise


def reason_of(error: Exception) -> str:
    """Return why something failed, in one sentence; of an error that isn't ours no more than a short first line."""
    if isinstance(error, RecsysError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for it (MemoryError)."
    # What a look-up missed is a key of the data, perhaps a user's.
    lines = [] if isinstance(error, LookupError) else str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:_LONGEST]}" if lines else f"{type(error).__name__}."
