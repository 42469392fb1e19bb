"""What may be said of a failure in logs, spans and dead letters: what kind it is, and never the input that it quotes.

PostgreSQL's DETAIL holds whole rows, `int()` and enums quote what they were given, aiohttp quotes signed addresses. So
the text of an exception is kept only where it is known to quote nothing. Everything else is its class; where it
happened stands in the traceback.
"""

import traceback
from collections.abc import Iterator
from typing import Any, TextIO

import asyncpg
import grpc
from structlog.typing import ExcInfo

from services.runtime.errors import reason_of

# Ours must not quote what people send; aiokafka speaks of brokers, topics and sizes.
_TRUSTED = ("services.", "aiokafka.")
_SYSTEM = ("builtins", "ssl", "socket")
_ROW_PLACES = ("table_name", "column_name", "constraint_name", "data_type_name")


def describe(error: BaseException) -> str:
    """One line about an exception that holds nothing of people's input."""
    kind = type(error)
    if isinstance(error, asyncpg.PostgresError):
        places = (getattr(error, name, None) for name in _ROW_PLACES)
        return " ".join([kind.__name__, str(getattr(error, "sqlstate", None) or ""), *filter(None, places)]).strip()
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name} {reason_of(error)}".strip()
    if isinstance(error, BaseExceptionGroup):
        return f"{kind.__name__}: {', '.join(map(describe, error.exceptions))}"
    if kind.__module__.startswith(_TRUSTED):
        return str(error) or kind.__name__
    if isinstance(error, OSError) and error.errno is not None and kind.__module__ in _SYSTEM:
        return f"{kind.__name__}: {error}"
    return kind.__name__


def named(error: BaseException) -> str:
    """The same, always with the exception's class before it."""
    kind, said = type(error).__name__, describe(error)
    return said if said.startswith(kind) else f"{kind}: {said}"


def as_dicts(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """A traceback for JSON: the exception, then what caused it, and so on; without locals."""
    return [_as_dict(error, is_cause) for error, is_cause in _chain(exc_info[1])]


def as_text(out: TextIO, exc_info: ExcInfo) -> None:
    """A traceback as Python prints it, the first cause first; without what exceptions quote."""
    for error, _ in reversed(list(_chain(exc_info[1]))):
        out.write("Traceback (most recent call last):\n")
        out.writelines(traceback.format_tb(error.__traceback__))
        out.write(f"{named(error)}\n")


def _as_dict(error: BaseException, is_cause: bool) -> dict[str, Any]:
    frames = [
        {"filename": frame.f_code.co_filename, "lineno": line, "name": frame.f_code.co_name}
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    said = {"exc_type": type(error).__name__, "exc_value": describe(error), "is_cause": is_cause, "frames": frames}
    if isinstance(error, BaseExceptionGroup):
        said["exceptions"] = [[_as_dict(*one) for one in _chain(member)] for member in error.exceptions]
    return said


def _chain(error: BaseException | None) -> Iterator[tuple[BaseException, bool]]:
    """An exception and those before it; whether each was named as the cause."""
    seen: set[int] = set()
    is_cause = False
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error, is_cause
        is_cause = error.__cause__ is not None
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
