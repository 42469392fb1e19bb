"""The sound and the pictures of all calls: one loop sends what is due, for all who are in a call."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from loadtests.sfu_media.parts import FRAME, FRAME_RATE, KEY_FRAME
from loadtests.sfu_media.peer import Peer

AUDIO_S = 0.02
_FEEDBACK_S = 0.1
# A loop that is later than this sends what is due now and forgets the rest, as a device does that was asleep.
_LATE_S = 0.1


@dataclass
class _Talker:
    peer: Peer
    video: bool
    audio_due_s: float
    frame_due_s: float
    feedback_due_s: float
    frames: int = 0


class MediaPump:
    """Talkers that are added send until they are taken away. Run `run` beside."""

    def __init__(self) -> None:
        self._talkers: dict[Peer, _Talker] = {}
        self._woken = asyncio.Event()
        self.packets_sent = 0
        # How late the loop was at the worst, in seconds.
        self.latest_s = 0.0

    def add(self, peer: Peer, *, video: bool) -> None:
        """From now on it sends, and says what has come."""
        now_s = time.monotonic()
        self._talkers[peer] = _Talker(peer, video, now_s, now_s, now_s)
        self._woken.set()

    def remove(self, peer: Peer) -> None:
        """It is silent from now on."""
        self._talkers.pop(peer, None)

    @property
    def talkers(self) -> int:
        """How many are in calls."""
        return len(self._talkers)

    async def run(self) -> None:
        """For ever."""
        while True:
            if not self._talkers:
                self._woken.clear()
                await self._woken.wait()
            now_s = time.monotonic()
            next_s = now_s + AUDIO_S
            for talker in list(self._talkers.values()):
                next_s = min(next_s, self._send(talker, now_s))
            await asyncio.sleep(max(next_s - time.monotonic(), 0.001))

    def _send(self, talker: _Talker, now_s: float) -> float:
        """Sends what is due, and says when something is due again."""
        self.latest_s = max(self.latest_s, now_s - talker.audio_due_s)
        # A packet that the kernel does not take, or a worker that is gone: on a network it would be lost.
        with suppress(OSError):
            self._send_what_is_due(talker, now_s)
        return min(talker.audio_due_s, talker.frame_due_s if talker.video else talker.audio_due_s)

    def _send_what_is_due(self, talker: _Talker, now_s: float) -> None:
        if now_s >= talker.audio_due_s:
            talker.audio_due_s = max(talker.audio_due_s + AUDIO_S, now_s - _LATE_S)
            talker.peer.send_audio()
            self.packets_sent += 1
        if talker.video and now_s >= talker.frame_due_s:
            talker.frame_due_s = max(talker.frame_due_s + 1 / FRAME_RATE, now_s - _LATE_S)
            is_key = talker.peer.wants_key_frame or talker.frames == 0
            talker.peer.wants_key_frame = False
            talker.peer.send_frame(talker.frames, KEY_FRAME if is_key else FRAME, is_key_frame=is_key)
            self.packets_sent += len(KEY_FRAME if is_key else FRAME)
            talker.frames += 1
        if now_s >= talker.feedback_due_s:
            talker.feedback_due_s = now_s + _FEEDBACK_S
            talker.peer.send_feedback(now_s)
