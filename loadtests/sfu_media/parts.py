"""The parts of a round: fan-out, voice calls, joins. Each gives what it saw; the worker's CPU is read around it."""

from __future__ import annotations

import asyncio
import gc
import heapq
import os
import select
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count

from parley.sfu.v1 import service_pb2, service_pb2_grpc

from loadtests.message_path.figures import percentiles
from loadtests.message_path.processes import cpu_s
from loadtests.sfu_media.peer import Peer
from loadtests.sfu_media.worker import WorkerProcess
from services.runtime.grpc.channels import connect
from services.sfu.dtls import Certificate

FRAME_RATE = 30
AUDIO_RATE = 50
# 1.2 Mbit/s in bursts: a frame of 5,000 bytes in five packets.
FRAME = [1000] * 5
KEY_FRAME = [1000] * 20
_JOINS_AT_ONCE = 8
# The generator sends what is due each step, and reads what has come (which the kernel has stamped) less often.
_STEP_S, _DRAIN_S = 0.0005, 0.003

Beside = AbstractContextManager[object]
_NOTHING: Beside = nullcontext()


@dataclass(frozen=True)
class Plan:
    """How long and how many. `fanouts` publishers have 50 receivers each.

    So many that the worker has about half of a core to do, which is as much as a generator on the other core can offer
    and take: at a tenth of a core a packet costs twice as much, most of it waking up.
    """

    measured_s: float = 8.0
    warm_up_s: float = 2.0
    fanouts: int = 6
    receivers: int = 50
    voice_calls: int = 160
    joins: int = 40


@dataclass(frozen=True)
class Load:
    """What a part cost: seconds of CPU over seconds of wall time, and packets that reached their receivers.

    `offered` is what the plan's pace asks for: far fewer packets mean that the machine was too busy for the figures.
    """

    worker_cpu_s: float
    generator_cpu_s: float
    wall_s: float
    packets: int
    offered: float
    delays_ms: dict[str, float]

    @property
    def us_per_packet(self) -> float:
        return self.worker_cpu_s / max(self.packets, 1) * 1e6


class Bench:
    """Peers on one worker."""

    def __init__(self, worker: WorkerProcess, plan: Plan) -> None:
        self._worker = worker
        self._plan = plan
        self._certificate = Certificate.generateCertificate()
        self._numbers = count()
        self._channel = connect(worker.address, worker.tokens())
        self._stub = service_pb2_grpc.SfuServiceStub(self._channel)

    async def stop(self) -> None:
        """Close the connection to the worker."""
        await self._channel.close()

    async def join(self, call: str) -> Peer:
        """One more participant of a call."""
        number = next(self._numbers)
        peer = Peer(self._certificate, number)

        async def exchange(offer: str) -> str:
            token = self._worker.join_token(f"user-{number}", call)
            request = service_pb2.JoinRequest(join_token=token, sdp_offer=offer)
            answer: service_pb2.JoinResponse = await self._stub.Join(request, timeout=30)
            return answer.sdp_answer

        await peer.join(exchange)
        return peer

    async def join_many(self, calls: Sequence[str]) -> list[Peer]:
        """Participants of these calls, a few at once."""
        gate = asyncio.Semaphore(_JOINS_AT_ONCE)

        async def one(call: str) -> Peer:
            async with gate:
                return await self.join(call)

        return list(await asyncio.gather(*(one(call) for call in calls)))

    async def end(self, calls: Iterable[str], peers: Iterable[Peer]) -> None:
        """End calls: half of the peers leave by themselves, the rest are put out."""
        await asyncio.gather(*(peer.close() for peer in list(peers)[::2]))
        for call in calls:
            await self._stub.EndCall(service_pb2.EndCallRequest(call_id=call), timeout=30)
        await asyncio.gather(*(peer.close() for peer in list(peers)[1::2]))

    async def fan_out(self, beside: Beside = _NOTHING) -> Load:
        """Video from each publisher to its receivers, in bursts a frame, with a browser's feedback.

        `beside` is entered while the media flows.
        """
        plan = self._plan
        calls = [f"fan-{number}" for number in range(plan.fanouts)]
        # One's own video slot goes to the first that joins: the publisher.
        publishers = [await self.join(call) for call in calls]
        receivers = await self.join_many([call for call in calls for _ in range(plan.receivers)])
        for receiver in receivers[:: plan.receivers]:
            receiver.open_packets()
        sends = [_Video(publisher, place / plan.fanouts / FRAME_RATE) for place, publisher in enumerate(publishers)]
        offered_per_s = FRAME_RATE * len(FRAME) * len(receivers)
        with beside:
            load = self._measure(sends, [*publishers, *receivers], receivers, offered_per_s)
        await self.end(calls, [*publishers, *receivers])
        return load

    async def voice(self, beside: Beside = _NOTHING) -> Load:
        """One-to-one calls, both sides speaking all the time. `beside`: see `fan_out`."""
        calls = [f"voice-{number}" for number in range(self._plan.voice_calls)]
        peers = await self.join_many([call for call in calls for _ in range(2)])
        for peer in peers[::20]:
            peer.open_packets()
        sends = [_Audio(peer, place * 0.02 / len(peers)) for place, peer in enumerate(peers)]
        with beside:
            load = self._measure(sends, peers, peers, AUDIO_RATE * len(peers))
        await self.end(calls, peers)
        return load

    async def joins(self) -> tuple[dict[str, float], float, float]:
        """Percentiles of offer to first media in ms, joins a second, and KiB of the worker for each participant."""
        plan = self._plan
        speaker = await self.join("join-0")
        peers = [speaker]
        speaking = asyncio.create_task(_speak(speaker))
        times = []
        for _ in range(plan.joins):
            began = time.monotonic()
            peer = await self.join("join-0")
            peers.append(peer)
            async with asyncio.timeout(30):
                await peer.media_came.wait()
            assert peer.first_media_s is not None
            times.append((peer.first_media_s - began) * 1000)
        before = self._worker.memory_kib()
        began = time.monotonic()
        calls = [f"join-{1 + number // 2}" for number in range(2 * plan.joins)]
        peers += await self.join_many(calls)
        rate = 2 * plan.joins / (time.monotonic() - began)
        memory = (self._worker.memory_kib() - before) / (2 * plan.joins)
        speaking.cancel()
        await self.end(["join-0", *dict.fromkeys(calls)], peers)
        return percentiles(times, (50, 99)), rate, memory

    def _measure(
        self, sends: Sequence[_Video | _Audio], peers: Sequence[Peer], receivers: Sequence[Peer], offered_per_s: float
    ) -> Load:
        # The generator's own pauses are not the worker's.
        gc.collect()
        gc.disable()
        poller = select.epoll()
        by_descriptor = {}
        for peer in peers:
            descriptor = peer.detach().fileno()
            by_descriptor[descriptor] = peer.drain
            poller.register(descriptor, select.EPOLLIN)
        _run(sends, peers, poller, by_descriptor, self._plan.warm_up_s)
        for receiver in receivers:
            receiver.packets = 0
            receiver.delays_s.clear()
        pids = {"worker": self._worker.pid, "generator": os.getpid()}
        before, began = cpu_s(pids), time.monotonic()
        _run(sends, peers, poller, by_descriptor, self._plan.measured_s)
        after, wall_s = cpu_s(pids), time.monotonic() - began
        poller.close()
        gc.enable()
        delays = [delay * 1000 for receiver in receivers for delay in receiver.delays_s]
        return Load(
            after["worker"] - before["worker"],
            after["generator"] - before["generator"],
            wall_s,
            sum(receiver.packets for receiver in receivers),
            offered_per_s * wall_s,
            percentiles(delays, (50, 99)),
        )


class _Video:
    def __init__(self, peer: Peer, phase_s: float) -> None:
        self.peer = peer
        self.due = time.monotonic() + phase_s
        self._frame = 0

    def send(self, now: float) -> None:
        is_key_frame = self.peer.wants_key_frame or self._frame == 0
        self.peer.wants_key_frame = False
        self.peer.send_frame(self._frame, KEY_FRAME if is_key_frame else FRAME, is_key_frame=is_key_frame)
        self._frame += 1
        self.due = max(self.due + 1 / FRAME_RATE, now - 0.1)


class _Audio:
    def __init__(self, peer: Peer, phase_s: float) -> None:
        self.peer = peer
        self.due = time.monotonic() + phase_s

    def send(self, now: float) -> None:
        self.peer.send_audio()
        self.due = max(self.due + 1 / AUDIO_RATE, now - 0.1)


async def _speak(peer: Peer) -> None:
    while True:
        peer.send_audio()
        await asyncio.sleep(0.02)


def _run(
    sends: Sequence[_Video | _Audio],
    peers: Sequence[Peer],
    poller: select.epoll,
    drains: dict[int, Callable[[], None]],
    seconds: float,
) -> None:
    """A loop of its own: the event loop's timers are too coarse to spread packets as a network does."""
    end = time.monotonic() + seconds
    turn, drain_due = 0, 0.0
    due = [(send.due, place) for place, send in enumerate(sends)]
    heapq.heapify(due)
    while (now := time.monotonic()) < end:
        while due[0][0] <= now:
            place = due[0][1]
            sends[place].send(time.monotonic())
            heapq.heapreplace(due, (sends[place].due, place))
        if now >= drain_due:
            drain_due = now + _DRAIN_S
            for descriptor, _ in poller.poll(0):
                drains[descriptor]()
            # A share of the peers each turn, so that their feedback is spread.
            for peer in peers[turn % 20 :: 20]:
                peer.send_feedback(now)
            turn += 1
        # The pace itself: a process of its own, which waits for nothing but the next packet's time.
        time.sleep(max(min(due[0][0], drain_due) - time.monotonic(), _STEP_S))
