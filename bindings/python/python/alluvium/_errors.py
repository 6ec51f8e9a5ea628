"""What can go wrong. Each message says what happened and what to do next.

The classes that derive from ``Error`` directly say what can be done: mend the input, look for what is missing, try again later, or open the
database anew. Catch those, or one of the narrower ones below them.
"""

from __future__ import annotations


class Error(Exception):
    """Whatever Alluvium raises. ``kind`` is ``"input"``, ``"missing"``, ``"unavailable"``, ``"damaged"``, ``"fatal"`` or ``"sync"``."""

    kind: str = "fatal"
    #: Of an append: how many rows were appended before what failed.
    appended: int = 0


class InputError(Error, ValueError):
    """The request is wrong and will stay wrong: mend the input."""

    kind = "input"


class MissingError(Error, LookupError):
    """What was asked for does not exist, or exists already."""

    kind = "missing"


class UnavailableError(Error):
    """The same request may succeed later."""

    kind = "unavailable"


class DamagedError(Error):
    """Bytes on disk are not what was written there. The loss is named."""

    kind = "damaged"


class FatalError(Error):
    """Nothing further is acknowledged until the database is opened again."""

    kind = "fatal"


class SyncError(Error):
    """The target of a sync does not do its part, or sync cannot run."""

    kind = "sync"


class BadRowsError(InputError):
    """Rows were refused. ``rows`` names each with ``row``, ``column`` and ``reason``; nothing of the batch they came with was written."""

    table: str = ""
    rows: list[dict[str, int | str]] = []


class LimitError(InputError):
    """Something is larger than it may be."""


class InvalidDocumentError(InputError):
    """The schema of a collection does not allow a document: at ``path``, by the rule ``rule``, for ``detail``."""

    path: str = ""
    rule: str = ""
    detail: str = ""


class NotUniqueError(InputError):
    """The document ``other`` has the same values in a unique index."""

    other: str = ""


class ReferenceError(InputError):
    """A document refers to one that is not there, or is referred to and was to go."""


class ForkedError(InputError):
    """This process was forked from the one that opened the database, whose handles are of no use here."""


class ExistsError(MissingError):
    """Something of that name exists already."""


class LeaseLostError(MissingError):
    """The lease of ``item`` holds no more: its time ran out, or the item was given back."""

    item: int = 0


class GapError(MissingError):
    """Changes ``first`` to ``last`` are no longer kept: go on behind them, and read the latest state instead."""

    first: int = 0
    last: int = 0


class ConflictError(UnavailableError):
    """Others changed meanwhile what a transaction had read. Nothing of it was done; make it again."""


class StaleError(UnavailableError):
    """Something is not in the revision that a write was made for, but in ``found``, or None where there is nothing. Nothing was written."""

    found: int | None = None


class CancelledError(UnavailableError):
    """A query was given up before its answer was complete."""


class LockedError(UnavailableError):
    """Another process has the directory open."""


class DiskFullError(UnavailableError):
    """There is no room. Reading goes on, and writing resumes by itself once there is some."""


class ClosedError(FatalError):
    """The database was closed."""


