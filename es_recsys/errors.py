"""Errors of the package, as one small tree.

RecsysError
 +-- InputError            what the caller or a file gave is not usable
 |    +-- FilterError      a filter expression
 |    +-- TooManyErrors    a file has more bad lines than allowed
 +-- SetupError            something on this machine is missing or too small
 |    +-- EngineError      Elasticsearch cannot be started or reached
 |    |    +-- BadResponse  what came is not what Elasticsearch answers
 |    +-- MissingExtra     an optional package is not installed
 +-- IndexStateError       the index is not in the state that the call needs
 |    +-- StoreNotFound    no store of that name
 |    +-- FingerprintMismatch  vectors of two models would be mixed
 |    +-- KeyMismatch      users are kept under another secret
 +-- ModelError            a model cannot be trained, saved, loaded or used
 |    +-- EncodingError    content cannot be encoded
 |    +-- OutOfTime        a training was not whole when its time was over
 +-- WriteError            documents that Elasticsearch refused

Each says what failed and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "BadResponse",
    "EncodingError",
    "EngineError",
    "FilterError",
    "FingerprintMismatch",
    "IndexStateError",
    "InputError",
    "KeyMismatch",
    "MissingExtra",
    "ModelError",
    "OutOfTime",
    "RecsysError",
    "SetupError",
    "StoreNotFound",
    "TooManyErrors",
    "WriteError",
]


class RecsysError(Exception):
    """Base of every error that this package raises on purpose.

    `what` says what failed, `remedy` what to do; `str()` joins the two. Neither may hold a secret or personal data.
    `exit_code` is what the command line ends with.
    """

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what} {remedy}".rstrip())


class InputError(RecsysError):
    """What the caller or a file gave is not usable."""

    exit_code = 2


class FilterError(InputError):
    """A filter expression is not usable."""


class TooManyErrors(InputError):
    """A file has more bad lines than allowed."""


class SetupError(RecsysError):
    """Something on this machine is missing or too small."""

    exit_code = 3


class EngineError(SetupError):
    """Elasticsearch cannot be started or reached."""


class BadResponse(EngineError):
    """What came is not what Elasticsearch answers."""


class MissingExtra(SetupError):
    """An optional package is missing; `extra` is the name to install."""

    def __init__(self, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f"This needs the package {package}.", f"Install it with: pip install 'es-recsys[{extra}]'")


class IndexStateError(RecsysError):
    """The index is not in the state that the call needs."""

    exit_code = 4


class StoreNotFound(IndexStateError):
    """There is no store of that name."""


class FingerprintMismatch(IndexStateError):
    """Vectors of two models would be mixed."""


class KeyMismatch(IndexStateError):
    """The users of a store are kept under another secret than the one that is set."""


class ModelError(RecsysError):
    """A model cannot be trained, saved, loaded or used."""

    exit_code = 5


class EncodingError(ModelError):
    """Content cannot be encoded."""


class OutOfTime(ModelError):
    """A training was not whole when its time was over."""


class WriteError(RecsysError):
    """Elasticsearch refused documents; `report` tells what became of all of them, where that is known."""

    exit_code = 6

    def __init__(self, what: str, remedy: str = "", report: object = None) -> None:
        self.report = report
        super().__init__(what, remedy)
