"""A hook that lets everything pass, in a process of its own: what asking costs, without the cost of judging.

Over gRPC it is a server as a network would write it in Python. Over HTTP it is as little as can answer: what it takes
is near nothing, so that what is left is what asking costs.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import grpc
import uvloop
from parley.hooks.v1 import service_pb2 as api
from parley.hooks.v1 import service_pb2_grpc

from deploy.embedded import parent_death
from deploy.embedded.record import ROOT

_MODULE = "loadtests.message_path.echo_hook"
# It says its port as soon as it serves. Raising it waits longer for one that cannot start.
_STARTED_WITHIN_S = 30.0
# `--hook` of loadtests.messages, and the scheme by which messaging is to ask.
HOOKS = {"echo": "grpc", "echo-http": "http"}

Context = grpc.aio.ServicerContext[api.CheckMessageRequest, api.CheckMessageResponse]


class EchoHookError(Exception):
    """The hook did not start."""


@dataclass(frozen=True)
class RunningHook:
    """What messaging is to be told, and the process."""

    env: dict[str, str]
    pid: int


class EchoHook(service_pb2_grpc.MessageHookServiceServicer):
    """See hooks/v1/service.proto."""

    async def CheckMessage(  # noqa: N802 - the proto's name
        self,
        request: api.CheckMessageRequest,  # noqa: ARG002 - it lets all pass
        context: Context,  # noqa: ARG002
    ) -> api.CheckMessageResponse:
        return api.CheckMessageResponse(allow=api.Allow())


class EchoHttpHook(asyncio.Protocol):
    """Answers each request of a connection that is kept. It reads where a request ends, and nothing else of it."""

    _ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"allow":{}}'

    def __init__(self) -> None:
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are none of asyncio's by type.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._end_of_request()) and len(self._read) >= end:
            self._read = self._read[end:]
            assert self._transport
            self._transport.write(self._ANSWER)

    def _end_of_request(self) -> int:
        head, blank, _ = self._read.partition(b"\r\n\r\n")
        if not blank:
            return 0
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return len(head) + len(blank) + int(length or 0)


@asynccontextmanager
async def echo_hook(name: str) -> AsyncIterator[RunningHook]:
    """One of HOOKS for the length of the block. Nothing is let pass without its answer. Raises EchoHookError."""
    wrapped = (
        sys.executable,
        "-I",
        "-S",
        parent_death.__file__,
        str(os.getpid()),
        str(int(signal.SIGKILL)),
        "-1",
        "-1",
    )
    scheme = HOOKS[name]
    process = await asyncio.create_subprocess_exec(
        *(*wrapped, sys.executable, "-m", _MODULE, scheme), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout
    try:
        async with asyncio.timeout(_STARTED_WITHIN_S):
            line = await process.stdout.readline()
        if not line.strip().isdigit():
            raise EchoHookError("the hook did not start")
        closed = {f"PARLEY_HOOK_{surface}": "closed" for surface in ("REQUESTS", "DIRECT", "GROUPS")}
        secret = base64.b64encode(secrets.token_bytes(32)).decode()
        url = f"{scheme}://127.0.0.1:{int(line)}"
        yield RunningHook({"PARLEY_HOOK_URL": url, "PARLEY_HOOK_SECRET": secret, **closed}, process.pid)
    except TimeoutError as error:
        raise EchoHookError("the hook did not start in time") from error
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _serve_grpc() -> None:
    server = grpc.aio.server()
    service_pb2_grpc.add_MessageHookServiceServicer_to_server(EchoHook(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


async def _serve_http() -> None:
    server = await asyncio.get_running_loop().create_server(EchoHttpHook, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve_grpc() if sys.argv[1] == "grpc" else _serve_http())
