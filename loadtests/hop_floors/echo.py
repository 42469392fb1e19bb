"""A bare grpc.aio server, in a process of its own: it gives back what it gets, and says its port on stdout."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import uvloop

SERVICE, METHOD = "floors.Echo", "Say"


async def serve() -> None:
    """Serves until the process is ended."""

    async def say(request: bytes, _: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return request

    server = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(say)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    try:
        await server.wait_for_termination()
    except asyncio.CancelledError:
        await server.stop(0)
        raise


if __name__ == "__main__":
    uvloop.run(serve())
