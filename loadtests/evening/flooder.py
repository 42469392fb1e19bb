"""One user who sends as fast as the machine lets them, in a process of its own.

Reads {"edge": address, "issuer": url, "seconds": s, "at_once": n} as JSON; writes what became of the sends, by reason.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections import Counter
from typing import Any

import grpc
import uvloop
from parley.messaging.v1 import messages_pb2, service_pb2

from loadtests.message_path.delivery_check import Ledger
from loadtests.message_path.fleet import Fleet
from parley_client.client import Edge
from parley_client.error_details import reason_of


async def flood(edge: Edge, seconds: float, at_once: int) -> Counter[str]:
    """Sends, so many under way all the time, whatever the service asks. The receiver has a device that listens."""
    outcomes: Counter[str] = Counter()
    async with Fleet(edge, Ledger()) as fleet:
        flooding, other = await fleet.add(2)
        conversation_id = await fleet.open_direct(flooding, other)
        rpc: Any = flooding.streams.unary_unary("/parley.messaging.v1.MessagingService/SendMessage")
        end_s = time.monotonic() + seconds

        async def send_on() -> None:
            while time.monotonic() < end_s:
                request = service_pb2.SendMessageRequest(
                    conversation_id=conversation_id,
                    client_message_id=secrets.token_hex(16),
                    text=messages_pb2.TextContent(text="flood"),
                )
                try:
                    await rpc(request.SerializeToString(), metadata=flooding.metadata, timeout=30.0)
                    outcomes["sent"] += 1
                except grpc.aio.AioRpcError as error:
                    outcomes[reason_of(error) or error.code().name] += 1

        await asyncio.gather(*(send_on() for _ in range(at_once)))
    return outcomes


def main() -> None:
    """Reads the job, floods, writes the outcome."""
    job: dict[str, Any] = json.loads(sys.stdin.readline())
    outcomes = uvloop.run(flood(Edge(job["edge"], job["issuer"]), job["seconds"], job["at_once"]))
    print(json.dumps(outcomes), flush=True)


if __name__ == "__main__":
    main()
