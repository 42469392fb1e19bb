"""Messaging or presence as of the release before the direct way, for rolling updates in tests.

`python -m tests.support.older_release presence` runs `services.presence`; as long as a file of this name stands in the
folder that PARLEY_OLDER names, a process that starts is of the release before, else of this one. What the older one
does not know is taken out of this one, so that everything around it is the real thing.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc

from tests.support import direct_hop

OLDER = "PARLEY_OLDER"
# A release without the RPC is asked again after this, in place of 30 s.
ASK_AGAIN_S = 0.5


def _older_presence() -> None:
    """RouterService has no Deliver, and each record of the topic is passed on: nothing tells what came before."""
    rpc: Any = import_module("services.presence.rpc")
    arrivals: Any = import_module("services.presence.core.arrivals")

    def add_router(servicer: Any, server: grpc.aio.Server) -> None:
        attach: Any = grpc.stream_stream_rpc_method_handler(
            servicer.Attach,
            request_deserializer=None,
            response_serializer=rpc.api.AttachResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(rpc.ROUTER_SERVICE, {"Attach": attach}),))

    rpc._add_router = add_router
    arrivals.Arrivals.take_logged = lambda _, delivery: [delivery]


def _older_messaging() -> None:
    """There is no direct way, and deliveries say neither what they are nor where they stand."""
    deliveries: Any = import_module("services.messaging.wire.deliveries")
    direct: Any = import_module("services.runtime.delivery.direct")

    async def start(_: Any) -> None: ...

    direct.DirectDelivery.start = start
    deliveries.is_told_at_once = lambda _: False
    deliveries._place = lambda _, *, newcomer: None


_RELEASES: Mapping[str, Callable[[], None]] = {"presence": _older_presence, "messaging": _older_messaging}


def main() -> None:
    """Runs the service that the command line names."""
    service = sys.argv.pop(1)
    if lost := os.environ.get(direct_hop.LOST):
        direct_hop.swallow_while(Path(lost))
    if (Path(os.environ[OLDER]) / service).exists():
        _RELEASES[service]()
    else:
        direct: Any = import_module("services.runtime.delivery.direct")
        direct.UNKNOWN_RPC_S = ASK_AGAIN_S
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
