"""A camera of three layers that sends what its publisher is asked for, for the tests of the core."""

from dataclasses import dataclass, field

from services.sfu.core.session.effects import Effect, SendWantedLayers
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from tests.unit.sfu.builders import video
from tests.unit.sfu.effects import key_frame_requests
from tests.unit.sfu.publishing import LAYERS

# Of 10 frames a second: 30, 100 and 350 kbit/s.
_BODIES = {b"q": [300], b"h": [1150], b"f": [1100] * 4}


@dataclass
class PausingCamera:
    """What it hears takes effect `delay_s` later. `says_bye`: as Chromium does of a layer that it pauses."""

    router: Router
    publisher: Participant
    delay_s: float = 0.1
    says_bye: bool = True
    # How often it was told to pause or to go on.
    changes: int = 0
    # What it is able to send: it leaves out other layers though it is asked for them.
    able: set[bytes] = field(default_factory=lambda: set(LAYERS))
    active: set[bytes] = field(default_factory=lambda: set(LAYERS))
    # The last packet of each layer.
    numbers: dict[bytes, int] = field(default_factory=lambda: dict.fromkeys(LAYERS, 100))
    _heard: list[tuple[float, set[bytes] | int]] = field(default_factory=list)
    _key_frames: set[bytes] = field(default_factory=lambda: set(LAYERS))
    _frames: int = 0

    def hear(self, effects: list[Effect], now: float) -> None:
        """What the SFU wants of it."""
        if any(
            isinstance(effect, SendWantedLayers) and effect.publisher == self.publisher.number for effect in effects
        ):
            self.changes += 1
            wanted = {state.rid.encode() for state in self.publisher.layer_states() if state.is_wanted}
            self._heard.append((now + self.delay_s, wanted))
        self._heard += [(now + self.delay_s, ssrc) for ssrc in key_frame_requests(effects, self.publisher)]

    def send_frame(self, now: float) -> list[Effect]:
        """One frame of each layer that it sends; what that makes the SFU do."""
        effects: list[Effect] = []
        while self._heard and self._heard[0][0] <= now:
            heard = self._heard.pop(0)[1]
            if isinstance(heard, int):
                # One key frame makes key frames of all.
                self._key_frames |= self.active
            else:
                wanted = heard & self.able
                self._key_frames |= wanted - self.active
                effects += self._end(self.active - wanted, now)
                self.active = wanted
        self._frames += 1
        for rid in sorted(self.active):
            for place, size in enumerate(_BODIES[rid]):
                self.numbers[rid] += 1
                is_key = rid in self._key_frames and place == 0
                packet = video(
                    LAYERS[rid],
                    self.numbers[rid],
                    self._frames,
                    key_frame=is_key,
                    rid=rid,
                    timestamp=self._frames * 9000,
                )
                effects += self.router.handle_rtp(self.publisher, packet + bytes(size), now)
            self._key_frames.discard(rid)
        return effects

    def _end(self, rids: set[bytes], now: float) -> list[Effect]:
        if not self.says_bye or not rids:
            return []
        return self.router.handle_rtcp(self.publisher, _bye([LAYERS[rid] for rid in sorted(rids)]), now)


def _bye(ssrcs: list[int]) -> bytes:
    """RFC 3550 section 6.6."""
    return bytes((0x80 | len(ssrcs), 203, 0, len(ssrcs))) + b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs)
