"""`make demo`: two people meet, write to each other and have a video call, and a third is woken, without a browser.

Progress goes to stderr; the last line of stdout is one JSON object. Exit 1 when any part is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import secrets
import statistics
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc
from parley.messaging.v1 import service_pb2 as messaging
from parley.presence.v1 import service_pb2 as presence

from deploy.embedded.errors import StackError
from loadtests.scenario import run as run_scenario
from loadtests.sleeper import Sleeper
from loadtests.stacks import edge_of, find_stack
from loadtests.webhooks import Heard, notice_receiver, receiver
from parley_client.account_sync import SyncGapError
from parley_client.calls import ACTIVE, ENDED
from parley_client.client import Device, Edge, LoginError
from parley_client.delivery_checks import delivery_faults, order_differences
from parley_client.media import MediaLostError
from parley_client.session import Session, open_session
from parley_client.tracks import SourceOptions
from parley_client.waiting import DeadlineMissedError

# Generous beside what is measured: a deadline here says "it does not work", not "it is slow".
STEP_DEADLINE_S = 15.0
# Each side sends a tone of its own, so that nobody can pass by hearing itself.
CALLER_HZ = 440.0
CALLEE_HZ = 587.3

_EXPECTED = (DeadlineMissedError, MediaLostError, LoginError, grpc.aio.AioRpcError, SyncGapError, ValueError)


class MissingError(Exception):
    """A part of the demo did not come out. The text says which."""


@dataclass
class Report:
    """What the demo measured; `None` and 0 stand for what never came."""

    messages_delivered: int = 0
    send_to_deliver_ms: list[float] = field(default_factory=list)
    ring_ms: float | None = None
    call_connected_ms: float | None = None
    video_frames_decoded: dict[str, int] = field(default_factory=lambda: {"caller": 0, "callee": 0})
    audio_ms_decoded: dict[str, int] = field(default_factory=lambda: {"caller": 0, "callee": 0})
    conversation_has_call_record: bool = False
    call_length_ms: int = 0
    # Whether a receiver beside the stack was told of all messages, in order, and of the call's end.
    webhook_delivered: bool = False
    # Whether the device of somebody who sleeps was sent a notice of what was written, and that it was read elsewhere.
    notification_delivered: bool = False
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """The JSON object of the last line."""
        times = self.send_to_deliver_ms
        return {
            "ok": not self.errors,
            "messages_delivered": self.messages_delivered,
            "send_to_deliver_ms_p50": round(statistics.median(times), 1) if times else None,
            "send_to_deliver_ms_max": round(max(times), 1) if times else None,
            "ring_ms": _rounded(self.ring_ms),
            "call_connected_ms": _rounded(self.call_connected_ms),
            "video_frames_decoded": self.video_frames_decoded,
            "audio_ms_decoded": self.audio_ms_decoded,
            "conversation_has_call_record": self.conversation_has_call_record,
            "call_length_ms": self.call_length_ms,
            "webhook_delivered": self.webhook_delivered,
            "notification_delivered": self.notification_delivered,
            "seconds": round(self.seconds, 1),
            "errors": self.errors,
        }


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 1)


class Demo:
    """The steps, in order, over two people. Each raises what is missing; the report keeps what was measured."""

    def __init__(
        self,
        caller: Session,
        callee: Session,
        messages: int,
        media_s: float,
        report: Report,
        heard: Heard | None = None,
        sleeper: Sleeper | None = None,
    ) -> None:
        """`heard` is what a receiver of webhooks has heard, where the stack was told of one; `sleeper` a third person,
        where the stack was told who sends notices."""
        self._caller = caller
        self._callee = callee
        self._messages = messages
        self._media_s = media_s
        self._report = report
        self._heard = heard
        self._sleeper = sleeper
        self._conversation_id = ""
        self._acknowledged: list[tuple[str, int]] = []

    async def run(self) -> None:
        """All steps."""
        await self.meet()
        await self.see_each_other_online()
        await self.write_to_each_other()
        await self.see_typing_and_read()
        await self.ring()
        await self.talk()
        await self.hang_up()
        self.compare()
        await self.be_told_by_webhooks()
        await self.wake_the_sleeper()

    async def meet(self) -> None:
        """Both open the conversation, at the same time, and get the same one."""
        pairs = ((self._caller, self._callee), (self._callee, self._caller))
        answers = await asyncio.gather(
            *(
                one.device.messaging.CreateDirectConversation(
                    messaging.CreateDirectConversationRequest(peer_user_id=other.user_id)
                )
                for one, other in pairs
            )
        )
        ids = {answer.conversation.conversation_id for answer in answers}
        if len(ids) != 1:
            raise MissingError("the two sides got different conversations")
        self._conversation_id = ids.pop()
        say(f"conversation {self._conversation_id}")

    async def see_each_other_online(self) -> None:
        """Each watches the other."""
        for one, other in ((self._caller, self._callee), (self._callee, self._caller)):
            await one.stream.watch([other.user_id])
            await one.stream.until(
                lambda one=one, other=other: one.stream.inbox.is_online(other.user_id),  # type: ignore[misc]
                STEP_DEADLINE_S,
                f"{other.user_id} online at {one.user_id}",
            )
        say("both see each other online")

    async def write_to_each_other(self) -> None:
        """Messages in turn, each timed from before the send to its arrival on the receiver's stream."""
        for index in range(self._messages):
            sides = (self._caller, self._callee)
            sender, receiver = sides if index % 2 == 0 else sides[::-1]
            self._report.send_to_deliver_ms.append(await self._write(sender, receiver, f"message {index + 1}"))
            self._report.messages_delivered += 1
        times = self._report.send_to_deliver_ms
        say(f"{len(times)} messages delivered, p50 {statistics.median(times):.1f} ms, max {max(times):.1f} ms")

    async def see_typing_and_read(self) -> None:
        """The callee types and has read; the caller is told both."""
        conversation_id, callee, caller = self._conversation_id, self._callee, self._caller
        await callee.device.presence.SetTyping(presence.SetTypingRequest(conversation_id=conversation_id, typing=True))
        key = (conversation_id, callee.user_id)
        await caller.stream.until(lambda: caller.stream.inbox.typing.get(key, False), STEP_DEADLINE_S, "typing")
        last = callee.history(conversation_id).cursor
        await callee.device.messaging.MarkRead(messaging.MarkReadRequest(conversation_id=conversation_id, seq=last))
        await caller.stream.until(
            lambda: caller.history(conversation_id).read_seq.get(callee.user_id, 0) == last, STEP_DEADLINE_S, "read"
        )
        say("typing and read seen")

    async def ring(self) -> None:
        """The caller places a video call; it rings at the callee. The caller's media is joined meanwhile."""
        began_s = time.monotonic()
        call = await self._caller.phone.start(self._conversation_id, video=True)
        ringing = await self._callee.phone.until_ring(STEP_DEADLINE_S, self._conversation_id)
        if ringing.call_id != call.call_id:
            raise MissingError("another call rang")
        arrived_s = self._callee.stream.inbox.call_arrived_s[call.call_id, ringing.state]
        self._report.ring_ms = (arrived_s - began_s) * 1000
        say(f"call {call.call_id} rings after {self._report.ring_ms:.1f} ms")
        await self._caller.phone.join_media()

    async def talk(self) -> None:
        """The callee accepts; both hear the other's tone and see a moving picture for some seconds."""
        began_s = time.monotonic()
        await self._callee.phone.accept(self._caller.phone.call_id)
        await self._callee.phone.join_media()
        medias = {"caller": self._caller.phone.media, "callee": self._callee.phone.media}
        try:
            heard_s = await asyncio.gather(*(media.until_media(STEP_DEADLINE_S) for media in medias.values()))
            self._report.call_connected_ms = (max(heard_s) - began_s) * 1000
            say(f"both hear and see each other {self._report.call_connected_ms:.0f} ms after the answer")
            await self._caller.phone.until_state(ACTIVE, STEP_DEADLINE_S)
            for side, media in medias.items():
                await media.until(
                    lambda media=media: media.tone_ms_decoded >= self._media_s * 1000 and media.moved_pictures > 0,  # type: ignore[misc]
                    STEP_DEADLINE_S + self._media_s,
                    f"{self._media_s:g} s of the other side's tone and a moving picture at the {side}",
                )
        finally:
            for side, media in medias.items():
                self._report.video_frames_decoded[side] = media.video_frames_decoded
                self._report.audio_ms_decoded[side] = round(media.audio_ms_decoded)
        say(f"decoded: {self._report.video_frames_decoded} pictures, {self._report.audio_ms_decoded} ms of sound")

    async def hang_up(self) -> None:
        """The caller hangs up; both are told, and both find the call with its length in the conversation."""
        call_id = self._caller.phone.call_id
        await self._caller.phone.hang_up()
        for one in (self._caller, self._callee):
            await one.phone.until_state(ENDED, STEP_DEADLINE_S)
            await one.stream.until(
                lambda one=one: one.call_record(self._conversation_id, call_id) is not None,  # type: ignore[misc]
                STEP_DEADLINE_S,
                f"call record at {one.user_id}",
            )
        records = {one.call_record(self._conversation_id, call_id) for one in (self._caller, self._callee)}
        record = records.pop()
        if records or record is None or record.outcome != "COMPLETED" or record.length_ms <= 0:
            raise MissingError(f"the record of the call is wrong: {record} {records}")
        self._report.conversation_has_call_record = True
        self._report.call_length_ms = record.length_ms
        say(f"hung up; the conversation has the call, {record.length_ms / 1000:.1f} s long")

    def compare(self) -> None:
        """Nothing lost, doubled or reordered, and both sides have the same conversation."""
        one, other = (side.history(self._conversation_id) for side in (self._caller, self._callee))
        faults = delivery_faults(one, self._acknowledged) + delivery_faults(other, self._acknowledged)
        faults += order_differences(one, other)
        if one.cursor != other.cursor:
            faults.append(f"one side is at seq {one.cursor}, the other at {other.cursor}")
        if faults:
            raise MissingError("; ".join(faults))

    async def be_told_by_webhooks(self) -> None:
        """The receiver of webhooks has heard of each message, in order, and of the end of the call."""
        heard = self._heard
        if heard is None:
            return
        wanted = [seq for _, seq in self._acknowledged]

        def messages() -> list[int]:
            sent = [one["data"] for one in heard.events if one["type"] == "message.sent"]
            ours = [one["messageSent"]["message"] for one in sent if one["conversationId"] == self._conversation_id]
            return [int(one["seq"]) for one in ours if "text" in one]

        def is_ended() -> bool:
            ended = [one["data"]["callId"] for one in heard.events if one["type"] == "call.ended"]
            return self._caller.phone.call_id in ended

        if not await heard.until(lambda: is_ended() and len(messages()) >= len(wanted), STEP_DEADLINE_S):
            raise MissingError(f"webhooks of {len(wanted) - len(messages())} messages, or of the call's end")
        if messages() != wanted:
            raise MissingError("webhooks of one conversation came out of order")
        self._report.webhook_delivered = True
        say(f"a receiver of webhooks was told of {len(wanted)} messages, in order, and of the call")

    async def wake_the_sleeper(self) -> None:
        """The caller writes to somebody whose only device sleeps: it is sent a notice, which goes when it was read."""
        sleeper = self._sleeper
        if sleeper is None:
            return
        began_s = time.monotonic()
        conversation_id, seq = await sleeper.hear_from(self._caller)
        if not await sleeper.is_shown(conversation_id, seq, STEP_DEADLINE_S):
            raise MissingError("the notice of a message for a device that sleeps")
        waited_ms = (time.monotonic() - began_s) * 1000
        await sleeper.read(conversation_id, seq)
        if not await sleeper.is_taken_back(conversation_id, STEP_DEADLINE_S):
            raise MissingError("that the notice was read elsewhere")
        self._report.notification_delivered = True
        say(f"a device that sleeps was sent a notice after {waited_ms:.0f} ms, and to take it back when it was read")

    async def _write(self, sender: Session, receiver: Session, text: str) -> float:
        request = messaging.SendMessageRequest(
            conversation_id=self._conversation_id, client_message_id=secrets.token_hex(16)
        )
        request.text.text = text
        began_s = time.monotonic()
        answer = await sender.device.messaging.SendMessage(request)
        key = (self._conversation_id, answer.message.seq)
        self._acknowledged.append((request.client_message_id, answer.message.seq))
        arrived = receiver.stream.inbox.message_arrived_s
        await receiver.stream.until(lambda: key in arrived, STEP_DEADLINE_S, f"{text} at {receiver.user_id}")
        return (arrived[key] - began_s) * 1000


async def run(
    edge: Edge,
    messages: int,
    media_s: float,
    source: SourceOptions,
    webhooks_file: str = "",
    push_providers_file: str = "",
) -> Report:
    """The demo against an edge. Never raises for what is missing: the report says it.

    The files are the stack's; without them nobody listens to webhooks, or to notices.
    """
    report = Report()
    began_s = time.monotonic()
    mark = secrets.token_hex(4)
    caller_source = SourceOptions(CALLER_HZ, source.width, source.height, source.pictures_per_s)
    callee_source = SourceOptions(CALLEE_HZ, source.width, source.height, source.pictures_per_s)
    try:
        async with AsyncExitStack() as stack:
            caller = await stack.enter_async_context(open_session(edge, f"demo-a-{mark}", caller_source, CALLEE_HZ))
            callee = await stack.enter_async_context(open_session(edge, f"demo-b-{mark}", callee_source, CALLER_HZ))
            heard = None
            if webhooks_file:
                heard = await stack.enter_async_context(receiver(webhooks_file, ["message.sent", "call.ended"]))
            sleeper = None
            if push_providers_file:
                notices = await stack.enter_async_context(notice_receiver(push_providers_file))
                device = Device(edge, f"demo-c-{mark}", f"asleep-{mark}")
                stack.push_async_callback(device.close)
                sleeper = Sleeper(device, notices)
            await Demo(caller, callee, messages, media_s, report, heard, sleeper).run()
    except MissingError as error:
        report.errors.append(str(error))
    except _EXPECTED as error:
        report.errors.append(f"{type(error).__name__}: {_text_of(error)}")
    report.seconds = time.monotonic() - began_s
    return report


def _text_of(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name} {error.details()}"
    return str(error)


def say(text: str) -> None:
    """A line of progress for whoever watches."""
    print(f"demo: {text}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.demo", description=__doc__)
    parser.add_argument("--messages", type=int, default=40, help="how many messages, in turn (default 40)")
    parser.add_argument("--media-s", type=float, default=3.0, help="seconds of media on each side (default 3)")
    parser.add_argument("--size", type=_size, default=(320, 180), help="of the test picture (default 320x180)")
    parser.add_argument("--fps", type=int, default=15, help="pictures a second (default 15)")
    parser.add_argument("--own-stack", action="store_true", help="start a stack even when `make run` is running")
    return parser.parse_args()


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})", text)
    if match is None or int(match[1]) % 2 or int(match[2]) % 2:
        raise argparse.ArgumentTypeError("must be two even numbers such as 320x180")
    return int(match[1]), int(match[2])


async def main() -> int:
    """Finds or starts a stack, runs the demo, prints the JSON line. Returns the exit status."""
    arguments = _arguments()
    width, height = arguments.size
    source = SourceOptions(width=width, height=height, pictures_per_s=arguments.fps)
    try:
        async with find_stack(own=arguments.own_stack, say=say) as record:
            files = record.webhooks_file, record.push_providers_file
            report = await run(edge_of(record), arguments.messages, arguments.media_s, source, *files)
    except StackError as error:
        report = Report(errors=[f"no stack to run against: {error}"])
    for missing in report.errors:
        say(f"missing: {missing}")
    print(json.dumps(report.as_dict()), flush=True)
    return 1 if report.errors else 0


if __name__ == "__main__":
    run_scenario(main)
