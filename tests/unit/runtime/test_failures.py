"""What is said of an exception holds nothing of the input that it quotes, wherever it is said."""

from __future__ import annotations

import enum
import io
import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import aiohttp
import asyncpg
import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from yarl import URL

from services.messaging.kernel.errors import InvalidField
from services.runtime.errors import StoreUnavailable
from services.runtime.observability.failures import as_dicts, as_text, describe, named

CANARY = "behind-the-old-mill"
SIGNED = URL(f"https://objects.example/file?X-Amz-Signature={CANARY}")


class Colour(enum.Enum):
    RED = "red"


def refused_row() -> None:
    raise asyncpg.PostgresError.new(
        {"C": "23514", "M": "new row violates check", "D": f"Failing row contains ({CANARY}).", "t": "messages"}
    )


def refused_value() -> None:
    raise asyncpg.PostgresError.new({"C": "22P02", "M": f'invalid input syntax for type uuid: "{CANARY}"'})


def refused_rpc() -> None:
    none = grpc.aio.Metadata()
    raise grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, none, none, f"bad {CANARY}", f"debug {CANARY}")


def refused_download() -> None:
    info = aiohttp.RequestInfo(SIGNED, "GET", None, SIGNED)  # type: ignore[arg-type]
    raise aiohttp.ClientResponseError(info, (), status=403, message=CANARY)


def raised(error: BaseException) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


def noted() -> BaseException:
    error = ValueError("one")
    error.add_note(CANARY)
    return error


QUOTING: dict[str, Callable[[], Any]] = {
    "a number": lambda: int(CANARY),
    "a key": lambda: {"one": 1}[CANARY],
    "an attribute": lambda: getattr(object(), CANARY),
    "an enum": lambda: Colour(CANARY),
    "a time": lambda: datetime.fromisoformat(CANARY),
    "a UUID": lambda: uuid.UUID(CANARY),
    "JSON": lambda: json.loads(CANARY),
    "bytes": lambda: (CANARY.encode() + b"\xff").decode(),
    "a code page": lambda: (CANARY + "é").encode("ascii"),
    "protobuf's JSON": lambda: json_format.Parse(json.dumps(CANARY), Timestamp()),
    "a module's syntax": lambda: compile(f"{CANARY} of", CANARY, "exec"),
    "a row": refused_row,
    "a value for PostgreSQL": refused_value,
    "an argument for PostgreSQL": raised(
        asyncpg.exceptions.DataError(f"invalid input for query argument $1: {CANARY}")
    ),
    "asyncpg's own": raised(asyncpg.InterfaceError(CANARY)),
    "another service's answer": refused_rpc,
    "a signed address": refused_download,
    "an address": raised(aiohttp.InvalidURL(SIGNED)),
    "the system without a number": raised(OSError(CANARY)),
    "a bug of ours": raised(RuntimeError(CANARY)),
    "several": raised(ExceptionGroup(CANARY, [ValueError(CANARY), OSError(CANARY)])),
    "a note": raised(noted()),
}


def caught_from(fail: Callable[[], Any]) -> Exception:
    try:
        fail()
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("kind", QUOTING)
def test_nothing_that_an_exception_quotes_is_said(kind: str) -> None:
    caught = caught_from(QUOTING[kind])
    wrapped = StoreUnavailable("the store does not serve this now")
    wrapped.__cause__ = caught
    said = io.StringIO()
    for error in (caught, wrapped):
        as_text(said, (type(error), error, error.__traceback__))
        said.write(json.dumps(as_dicts((type(error), error, error.__traceback__))))
        said.write(describe(error) + named(error))
    assert CANARY not in said.getvalue()
    assert type(caught).__name__ in said.getvalue()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidField("text.text", "has 9 characters"), "has 9 characters"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: [Errno 111] Connection refused"),
        (TimeoutError(), "TimeoutError"),
        (
            asyncpg.PostgresError.new({"C": "23505", "M": "duplicate", "t": "messages", "n": "messages_pkey"}),
            "UniqueViolationError 23505 messages messages_pkey",
        ),
    ],
)
def test_what_quotes_nothing_is_kept(error: BaseException, said: str) -> None:
    assert describe(error) == said


def test_causes_are_told_with_their_frames_and_a_loop_of_them_ends() -> None:
    def fail() -> None:
        raise KeyError("a key")

    def fail_for_it() -> None:
        try:
            fail()
        except KeyError as error:
            raise StoreUnavailable("away") from error

    caught = caught_from(fail_for_it)
    assert isinstance(caught.__cause__, KeyError)
    caught.__cause__.__context__ = caught
    first, second = as_dicts((type(caught), caught, caught.__traceback__))
    assert (first["exc_value"], first["is_cause"]) == ("away", False)
    assert (second["exc_type"], second["is_cause"], second["frames"][-1]["name"]) == ("KeyError", True, "fail")


UNCAUGHT = """
import asyncio, gc, logging, sys, threading
from services.runtime.observability import logs
from services.runtime.config import LogConfig

canary = "-".join(("behind", "the", "old", "mill"))

def fail():
    raise ValueError(canary)

class Ends:
    def __del__(self):
        fail()

async def run():
    asyncio.get_running_loop().set_exception_handler(logs.note_unhandled)
    async def failing():
        fail()
    task = asyncio.create_task(failing())
    await asyncio.wait([task])
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

logs.configure(LogConfig(sys.argv[1], "info"), "messaging")
logs.take_uncaught()
asyncio.run(run())
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Ends()
try:
    fail()
except ValueError:
    logging.getLogger("a library").exception("it failed")
fail()
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_nobody_caught_is_logged_without_what_it_quotes(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", UNCAUGHT, form], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert CANARY not in done.stdout + done.stderr
    assert done.stderr.count("uncaught") == 3
    assert done.stderr.count("unhandled") == 2
    assert done.stderr.count("it failed") == 1
    assert done.stderr.count("ValueError") >= 6
