"""Repairs of lost packets of video, asked for until they come: else one that is lost twice stops a picture.

aiortc asks for a lost packet when the gap shows, and again only with the next gap. Where the request or the repair is
lost, its jitter buffer waits for the packet until 512 later ones have come: of a small picture at five a second, for
100 s. Of several slots none gets repairs at all: their SSRC is entered for none of them. Browsers ask again after a
round trip or so, and go on at the next key frame when that does not help.

All private access to aiortc stands here; its version is pinned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket
from aiortc.sdp import SessionDescription

# Between two requests for the same packet. Raising it lets a lost repair stop the picture for longer; lowering it asks
# for repairs that are on their way.
ASK_AGAIN_S = 0.1
# After this many requests a packet is given up. Raising it lets the picture stand for longer where a packet does not
# come; lowering it asks for needless key frames on long paths.
MAX_REQUESTS = 10

# From here on a sequence number is an older one (RFC 1982).
_HALF = 1 << 15


class RepairRequests(NackGenerator):
    """Which packets to ask for, at each packet that comes. `give_up` is told those that are not waited for any more."""

    def __init__(self, give_up: Callable[[Iterable[int]], None], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._give_up = give_up
        self._clock = clock
        self._asked_at = clock() - ASK_AGAIN_S
        # How often each was asked for again.
        self._requests: dict[int, int] = {}

    def add(self, packet: RtpPacket) -> bool:
        """Notes a packet; whether to ask now for all that are `missing`."""
        has_new_gap = super().add(packet)
        if not self.missing:
            self._requests.clear()
            return False
        now_s = self._clock()
        if now_s - self._asked_at >= ASK_AGAIN_S:
            self._asked_at = now_s
            self._count_requests()
            return bool(self.missing)
        return has_new_gap

    def _count_requests(self) -> None:
        self._requests = {number: self._requests.get(number, 0) + 1 for number in self.missing}
        self._drop({number for number, requests in self._requests.items() if requests > MAX_REQUESTS})

    def truncate(self) -> None:
        """Gives up what the other side has not kept."""
        if self.missing:
            before = set(self.missing)
            super().truncate()
            self._drop(before - self.missing)

    def _drop(self, numbers: set[int]) -> None:
        if numbers:
            self.missing -= numbers
            self._give_up(numbers)


def skip(buffer: JitterBuffer, numbers: Iterable[int]) -> None:
    """Lets a jitter buffer go on behind packets that will not come."""
    if buffer._origin is None:
        return
    ahead = [(number - buffer._origin) & 0xFFFF for number in numbers]
    count = max((distance + 1 for distance in ahead if distance < _HALF), default=0)
    while count:
        step = min(count, buffer.capacity)
        buffer.remove(step)
        count -= step


def repair_slots(peer: RTCPeerConnection, answer: str) -> None:
    """Lets the video receivers of a connection that has its answer get what they lose."""
    groups = {media.rtp.muxId: media.ssrc_group for media in SessionDescription.parse(answer).media}
    for transceiver in peer.getTransceivers():
        if transceiver.kind != "video":
            continue
        receiver = transceiver.receiver
        _ask_again(receiver)
        for group in groups.get(str(transceiver.mid), ()):
            if group.semantic == "FID":
                receiver.transport._rtp_router.ssrc_table[int(group.items[1])] = receiver


def _ask_again(receiver: RTCRtpReceiver) -> None:
    private = cast(Any, receiver)
    buffer: JitterBuffer = private._RTCRtpReceiver__jitter_buffer

    def give_up(numbers: Iterable[int]) -> None:
        skip(buffer, numbers)
        # The next packet asks for a key frame.
        private._RTCRtpReceiver__decoder_error.set()

    private._RTCRtpReceiver__nack_generator = RepairRequests(give_up)
