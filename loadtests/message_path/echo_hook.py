"""A hook that lets everything pass, in a process of its own: what asking costs, without the cost of judging."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import uvloop
from parley.hooks.v1 import service_pb2 as api
from parley.hooks.v1 import service_pb2_grpc

from deploy.embedded import parent_death
from deploy.embedded.record import ROOT

_MODULE = "loadtests.message_path.echo_hook"
# It says its port as soon as it serves. Raising it waits longer for one that cannot start.
_STARTED_WITHIN_S = 30.0

Context = grpc.aio.ServicerContext[api.CheckMessageRequest, api.CheckMessageResponse]


class EchoHookError(Exception):
    """The hook did not start."""


class EchoHook(service_pb2_grpc.MessageHookServiceServicer):
    """See hooks/v1/service.proto."""

    async def CheckMessage(  # noqa: N802 - the proto's name
        self,
        request: api.CheckMessageRequest,  # noqa: ARG002 - it lets all pass
        context: Context,  # noqa: ARG002
    ) -> api.CheckMessageResponse:
        return api.CheckMessageResponse(allow=api.Allow())


@asynccontextmanager
async def echo_hook() -> AsyncIterator[dict[str, str]]:
    """The hook for the length of the block; what messaging is to be told. Nothing is let pass without its answer.

    Raises EchoHookError.
    """
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
    process = await asyncio.create_subprocess_exec(
        *(*wrapped, sys.executable, "-m", _MODULE), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout
    try:
        async with asyncio.timeout(_STARTED_WITHIN_S):
            line = await process.stdout.readline()
        if not line.strip().isdigit():
            raise EchoHookError("the hook did not start")
        closed = {f"PARLEY_HOOK_{surface}": "closed" for surface in ("REQUESTS", "DIRECT", "GROUPS")}
        yield {"PARLEY_HOOK_URL": f"grpc://127.0.0.1:{int(line)}", **closed}
    except TimeoutError as error:
        raise EchoHookError("the hook did not start in time") from error
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def main() -> None:
    """Serve until killed."""
    server = grpc.aio.server()
    service_pb2_grpc.add_MessageHookServiceServicer_to_server(EchoHook(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
