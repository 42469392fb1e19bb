"""A process that holds idle devices, so that its memory and CPU are not what is measured.

Reads a Job as one line of JSON from standard input, and writes a line of JSON whenever all its devices have become
ready: {"ready": count, "at_s": monotonic seconds, "resumed": count, "refused": count}. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
import grpc
import uvloop
from parley.gateway.v1 import service_pb2 as gateway

from parley_client.error_details import retry_delay_s
from parley_client.stream import BackOff

SUBSCRIBE = "/parley.gateway.v1.GatewayService/Subscribe"
_LOGINS_AT_ONCE = 4
_BACK_OFF = BackOff(first_s=0.2, most_s=5.0)


@dataclass(frozen=True)
class Job:
    """`address`: of the edge or of a gateway; `streams`: devices a connection; `mark`: of the users' names."""

    address: str
    issuer_url: str
    devices: int
    streams: int
    mark: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Holder:
    """Devices, one of each user, that are always there."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._ready = 0
        self._resumed = 0
        self._refused = 0

    async def run(self) -> None:
        """Log all in, connect, and stay, for ever."""
        tokens = await self._log_in()
        self._say(self._ready)
        channels = [_channel(self._job.address) for _ in range(-(-self._job.devices // self._job.streams))]
        await asyncio.gather(*self._devices(tokens, channels))

    async def _log_in(self) -> list[str]:
        # One connection for many logins: the issuer is not what is measured.
        connector = aiohttp.TCPConnector(limit=_LOGINS_AT_ONCE)
        async with aiohttp.ClientSession(self._job.issuer_url, connector=connector) as session:

            async def token(number: int) -> str:
                body = {"user_id": f"{self._job.mark}-{number}", "ttl_s": 3600}
                async with session.post("/dev/login", json=body) as answer:
                    answer.raise_for_status()
                    return str((await answer.json())["token"])

            return await asyncio.gather(*map(token, range(self._job.devices)))

    def _devices(self, tokens: Iterable[str], channels: list[grpc.aio.Channel]) -> Iterable[Any]:
        for number, token in enumerate(tokens):
            yield self._stay(channels[number // self._job.streams].unary_stream(SUBSCRIBE), token)

    async def _stay(self, subscribe: Any, token: str) -> None:
        metadata = (("authorization", f"Bearer {token}"),)
        request = gateway.SubscribeRequest(device_id="idle-device-1")
        attempt = 0
        while True:
            is_ready = False
            asked_s = 0.0
            try:
                call = subscribe(request.SerializeToString(), metadata=metadata)
                while (frame := await call.read()) is not grpc.aio.EOF:
                    if not is_ready:
                        is_ready, attempt = True, 0
                        self._arrive(request, frame)
            except grpc.aio.AioRpcError as error:
                asked_s = retry_delay_s(error)
            self._ready -= is_ready
            self._refused += not is_ready
            await asyncio.sleep(_BACK_OFF.delay_s(attempt, random.random(), asked_s))
            attempt += 1

    def _arrive(self, request: gateway.SubscribeRequest, frame: bytes) -> None:
        ready = gateway.SubscribeResponse.FromString(frame).event.ready
        request.resume_token = ready.resume_token
        self._resumed += ready.resumed
        self._ready += 1
        if self._ready == self._job.devices:
            self._say(self._ready)

    def _say(self, ready: int) -> None:
        line = {"ready": ready, "at_s": time.monotonic(), "resumed": self._resumed, "refused": self._refused}
        print(json.dumps(line), flush=True)


def _channel(address: str) -> grpc.aio.Channel:
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]
    return grpc.aio.insecure_channel(address, options=options)


async def _main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    job = Job(**json.loads(await reader.readline()))
    work = asyncio.create_task(Holder(job).run())
    leave = asyncio.create_task(reader.read())
    done, _ = await asyncio.wait((work, leave), return_when=asyncio.FIRST_COMPLETED)
    if work in done:
        await work
    work.cancel()


if __name__ == "__main__":
    uvloop.run(_main())
