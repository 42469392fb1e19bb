"""Calls set up and torn down: how many a second, how long it takes from StartCall until both sides hear each other.

Everything is real but the sound: the edge, signaling, PostgreSQL, the broker and the media worker of a stack of its
own; callers and callees are devices that shake hands and send packets, and neither encode nor decode.
The report is build/reports/call_setup.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import grpc
from parley.calls.v1 import messages_pb2 as calls
from parley.calls.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.record import ROOT, StackRecord
from loadtests.message_path.figures import percentiles
from loadtests.message_path.processes import cpu_s, used_since
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report
from loadtests.sfu_media.peer import Peer
from loadtests.stacks import own_stack
from parley_client.client import Device, Edge
from parley_client.error_details import reason_of
from services.sfu.dtls import Certificate

REPORT = ROOT / "build" / "reports" / "call_setup.json"
LOGS = ROOT / ".parley" / "load-calls-setup-logs"
AUDIO_INTERVAL_S = 0.02
# A call that has no sound by then has failed.
MEDIA_DEADLINE_S = 10.0


@dataclass(frozen=True)
class Plan:
    """`pace`: calls begun a second while latency is measured. `at_once`: calls in hand while the rate is."""

    pairs: int = 60
    pace: float = 20.0
    paced_s: float = 15.0
    at_once: int = 12
    full_s: float = 10.0
    warm_up_calls: int = 20


@dataclass(frozen=True)
class Pair:
    """Two people with a conversation."""

    caller: Device
    callee: Device
    conversation_id: str


@dataclass
class Outcome:
    """What became of the calls of one part of a round."""

    setup_s: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return {
            "calls": len(self.setup_s),
            "rate": round(len(self.setup_s) / self.wall_s, 1) if self.wall_s else 0.0,
            "setup_ms": percentiles([seconds * 1000 for seconds in self.setup_s], (50, 95, 99)),
            "failures": sum(self.failures.values()),
            "failures_by_reason": dict(self.failures),
        }


class CallLoad:
    """Pairs of people who call each other, each pair one call at a time."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._free: asyncio.Queue[Pair] = asyncio.Queue()
        for pair in pairs:
            self._free.put_nowait(pair)
        self._certificate = Certificate.generateCertificate()
        self._numbers = count(1)

    async def paced(self, pace: float, seconds: float) -> Outcome:
        """Begin calls at a steady pace, whatever becomes of those before."""
        outcome, began = Outcome(), time.monotonic()
        tasks = []
        for number in range(int(pace * seconds)):
            await asyncio.sleep(max(0.0, began + number / pace - time.monotonic()))
            tasks.append(asyncio.create_task(self._call(outcome)))
        await asyncio.gather(*tasks)
        outcome.wall_s = time.monotonic() - began
        return outcome

    async def at_once(self, number: int, seconds: float) -> Outcome:
        """So many calls in hand all the time."""
        outcome, began = Outcome(), time.monotonic()

        async def call_again() -> None:
            while time.monotonic() - began < seconds:
                await self._call(outcome)

        await asyncio.gather(*(call_again() for _ in range(number)))
        outcome.wall_s = time.monotonic() - began
        return outcome

    async def calls(self, number: int) -> None:
        """Some calls that nobody measures."""
        outcome = Outcome()
        for _ in range(number):
            await self._call(outcome)

    async def _call(self, outcome: Outcome) -> None:
        pair = await self._free.get()
        began = time.monotonic()
        try:
            outcome.setup_s.append(await self._talk(pair, began))
        except grpc.aio.AioRpcError as error:
            outcome.failures[reason_of(error) or error.code().name] += 1
        except TimeoutError:
            outcome.failures["NO_MEDIA"] += 1
        finally:
            self._free.put_nowait(pair)

    async def _talk(self, pair: Pair, began: float) -> float:
        """One whole call. Returns the seconds from StartCall until both sides had heard the other."""
        request = api.StartCallRequest(
            conversation_id=pair.conversation_id,
            device_id=pair.caller.device_id,
            client_call_id=secrets.token_hex(8),
        )
        start = await pair.caller.calls.StartCall(request)
        peers = [Peer(self._certificate, next(self._numbers)) for _ in range(2)]
        try:
            await asyncio.gather(
                _join(peers[0], pair.caller, start.grant),
                _answer(peers[1], pair.callee, start.call.call_id),
            )
            await _until_heard(peers)
            return max(peer.first_media_s or 0.0 for peer in peers) - began
        finally:
            leave = api.LeaveCallRequest(call_id=start.call.call_id, device_id=pair.caller.device_id)
            await pair.caller.calls.LeaveCall(leave)
            await asyncio.gather(*(peer.close() for peer in peers), return_exceptions=True)


async def _join(peer: Peer, device: Device, grant: calls.MediaGrant) -> None:
    async def exchange(offer: str) -> str:
        answer = await device.calls.JoinMedia(api.JoinMediaRequest(join_token=grant.join_token, sdp_offer=offer))
        return str(answer.sdp_answer)

    await peer.join(exchange)


async def _answer(peer: Peer, device: Device, call_id: str) -> None:
    accept = api.AcceptCallRequest(call_id=call_id, device_id=device.device_id)
    await _join(peer, device, (await device.calls.AcceptCall(accept)).grant)


async def _until_heard(peers: list[Peer]) -> None:
    async with asyncio.timeout(MEDIA_DEADLINE_S):
        while not all(peer.media_came.is_set() for peer in peers):
            for peer in peers:
                peer.send_audio()
            await asyncio.wait(
                [asyncio.create_task(peer.media_came.wait()) for peer in peers], timeout=AUDIO_INTERVAL_S
            )


async def _make_pair(edge: Edge, number: int, cleanup: AsyncExitStack) -> Pair:
    devices = [Device(edge, f"{who}-{number}-{secrets.token_hex(3)}", f"{who}-device-{number}") for who in "ab"]
    for device in devices:
        cleanup.push_async_callback(device.close)
    request = messaging.CreateDirectConversationRequest(peer_user_id=devices[1].user_id)
    answer = await devices[0].messaging.CreateDirectConversation(request)
    # Who was written to has let the other in.
    accept = messaging.SendMessageRequest(conversation_id=answer.conversation.conversation_id, client_message_id="1")
    accept.text.text = "hello"
    await devices[1].messaging.SendMessage(accept)
    return Pair(devices[0], devices[1], answer.conversation.conversation_id)


async def measure(record: StackRecord, plan: Plan) -> dict[str, Any]:
    """One round on a stack that runs."""
    edge = Edge(record.edge_address, record.issuer_url)
    async with AsyncExitStack() as cleanup:
        pairs = [await _make_pair(edge, number, cleanup) for number in range(plan.pairs)]
        load = CallLoad(pairs)
        await load.calls(plan.warm_up_calls)
        paced = await load.paced(plan.pace, plan.paced_s)
        used_s = _cpu_by_process(record)
        full = await load.at_once(plan.at_once, plan.full_s)
        spent_s = used_since(used_s, _cpu_by_process(record))
    at_pace, at_full = paced.as_dict(), full.as_dict()
    return {
        "rate": at_full["rate"],
        "setup_ms": at_pace["setup_ms"],
        "failures": at_pace["failures"] + at_full["failures"],
        "pace": plan.pace,
        "at_pace": at_pace,
        "at_full": at_full,
        # What a call costs, whoever else uses the machine.
        "cpu_ms_per_call": {
            name: round(spent * 1000 / max(len(full.setup_s), 1), 1) for name, spent in spent_s.items()
        },
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "cores": os.cpu_count(),
    }


def _cpu_by_process(record: StackRecord) -> dict[str, float]:
    return {**cpu_s(record.pids), "generator": time.process_time()}


async def _run(plan: Plan) -> dict[str, Any]:
    # Nobody calls so often; the limit has its own tests.
    os.environ["PARLEY_CALLS_PER_MINUTE"] = "10000"
    os.environ.setdefault("PARLEY_SFU_MAX_PARTICIPANTS", "1000")
    async with own_stack(LOGS) as record:
        return await measure(record, plan)


async def main() -> int:
    """Returns the exit status: 1 when a call failed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.calls_setup", description=__doc__)
    parser.add_argument("--pace", type=float, default=Plan.pace, help="calls begun a second")
    parser.add_argument("--seconds", type=float, default=Plan.paced_s, help="how long at that pace")
    options = parser.parse_args()
    figures = await _run(Plan(pace=options.pace, paced_s=options.seconds))
    report = write_report(REPORT, "calls_setup", figures)
    print(
        json.dumps({name: report[name] for name in ("rate", "setup_ms", "failures", "cpu_ms_per_call", "load_average")})
    )
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    run_scenario(main)
