"""A device that goes on sending through faults, as real clients do: the same message until it is acknowledged."""

from __future__ import annotations

import asyncio
import random

import grpc
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device
from parley_client.stream import BackOff
from parley_client.waiting import Changes

# What a client may meet while a service restarts. Any other status is a fault and ends the sender.
# CANCELLED: a call that had come in when its server stopped, and that nobody began to serve; grpc itself ends it so.
EXPECTED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
# One message after the other, so that one is on its way whenever something is killed.
PAUSE_S = 0.02
# And slower once nobody has waited for so many, to leave the machine to what is being restarted. Raising the pause: an
# outage meets fewer messages. Lowering it: a wait for a restart keeps the machine busy, and lasts longer.
IDLE_AFTER, IDLE_PAUSE_S = 20, 0.2
RPC_TIMEOUT_S = 3.0


class SteadySender:
    """Sends numbered messages to one conversation from `async with` to its end. Two of one device need two names."""

    def __init__(self, device: Device, conversation_id: str, name: str = "steady") -> None:
        self._name = name
        # (client_message_id, seq) of each acknowledged message, in order.
        self.acknowledged: list[tuple[str, int]] = []
        self.retries = 0
        self._device = device
        self._conversation_id = conversation_id
        self._changes = Changes()
        self._back_off = BackOff(first_s=0.05, most_s=1.0)
        self._stopping = False
        self._wanted = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SteadySender:
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._changes.notify())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def until_acknowledged(self, count: int, deadline_s: float) -> None:
        """Waits for so many more acknowledgements. Raises what ended the sender."""
        self._wanted = wanted = len(self.acknowledged) + count
        await self._changes.until(
            lambda: len(self.acknowledged) >= wanted or self._is_over,
            deadline_s,
            f"{count} more acknowledgements",
            lambda: len(self.acknowledged),
        )
        if self._is_over and self._task is not None:
            self._task.result()

    async def stop(self) -> None:
        """Finishes the message that is on its way: in the end each message is acknowledged or was never sent."""
        self._stopping = True
        if self._task is not None:
            await self._task

    @property
    def _is_over(self) -> bool:
        return self._task is not None and self._task.done()

    async def _run(self) -> None:
        number = 0
        while not self._stopping:
            number += 1
            client_message_id = f"{self._name}-{number}"
            seq = await self._send(client_message_id)
            self.acknowledged.append((client_message_id, seq))
            self._changes.notify()
            is_idle = len(self.acknowledged) > self._wanted + IDLE_AFTER
            await asyncio.sleep(IDLE_PAUSE_S if is_idle else PAUSE_S)

    async def _send(self, client_message_id: str) -> int:
        request = messaging.SendMessageRequest(
            conversation_id=self._conversation_id, client_message_id=client_message_id
        )
        request.text.text = client_message_id
        attempt = 0
        while True:
            try:
                answer = await self._device.messaging.SendMessage(request, timeout=RPC_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                if error.code() not in EXPECTED:
                    raise
                await asyncio.sleep(self._back_off.delay_s(attempt, random.random()))
                attempt += 1
                self.retries += 1
            else:
                return int(answer.message.seq)
