"""The client under test, behind a driver: a program of its author's that takes a command a line and answers a line."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Any


class RefusedError(Exception):
    """The service refused it, and the client told the reason."""


class CannotError(Exception):
    """The driver has no such command: the step is left out."""


class DriverError(Exception):
    """It broke the protocol, did not answer in time, or has ended."""


def _number_of(answer: bytes) -> float:
    """Whose answer it is; that of nobody is judged where it is read."""
    try:
        return int(json.loads(answer)["n"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


class Driver:
    """Commands one after the other. Everything in it is JSON; what it logs belongs on standard error."""

    def __init__(self, process: asyncio.subprocess.Process, patience_s: float) -> None:
        self._process = process
        self._patience_s = patience_s
        self._number = 0

    @classmethod
    async def begin(cls, command: str, patience_s: float) -> Driver:
        """Starts the program."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*shlex.split(command), stdin=pipe, stdout=pipe, limit=2**24)
        return cls(process, patience_s)

    async def do(self, what: str, **given: Any) -> dict[str, Any]:
        """What the client observed. Raises RefusedError, CannotError, DriverError."""
        self._number += 1
        line = json.dumps({"n": self._number, "do": what, **given})
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(f"{line}\n".encode())
            await self._process.stdin.drain()
            async with asyncio.timeout(self._patience_s):
                answer = await self._process.stdout.readline()
                while _number_of(answer) < self._number:
                    # To a command that was given up.
                    answer = await self._process.stdout.readline()
        except TimeoutError:
            raise DriverError(f"no answer within {self._patience_s:g} s to {line}") from None
        except ConnectionError:
            answer = b""
        return self._read(answer, line)

    def _read(self, answer: bytes, line: str) -> dict[str, Any]:
        if not answer:
            raise DriverError(f"it has ended; asked was {line}")
        try:
            said = json.loads(answer)
            number, done = said["n"], said.get("done")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DriverError(f"no answer of the protocol to {line}: {answer.decode(errors='replace')[:300]}") from None
        if number != self._number:
            raise DriverError(f"an answer to {number!r}; asked was {line}")
        if "refused" in said:
            raise RefusedError(str(said["refused"]))
        if "cannot" in said:
            raise CannotError(str(said["cannot"]))
        if not isinstance(done, dict):
            raise DriverError(f"neither done nor refused nor cannot, to {line}: {answer.decode()[:300]}")
        return done

    async def end(self) -> None:
        """Ends the program."""
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
