"""A publisher of three layers, for the tests of the core."""

from services.sfu.core.session.effects import Effect, SendMedia, SendRepair
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.router import Router
from tests.unit.sfu.builders import Page, copies, video

LAYERS = {b"q": 21, b"h": 22, b"f": 23}


def send_layers(
    router: Router,
    publisher: Participant,
    seconds: float,
    now: float,
    first: int = 1,
    effects: list[Effect] | None = None,
    *,
    written: bool = False,
) -> float:
    """All three layers at 150, 500 and 1700 kbit/s, a key frame every second; gives the time then.

    `effects` takes what the ticks give. `written`: the copies are, so that they are numbered and await feedback.
    """
    frames = int(seconds * 30)
    counts = {b"q": 1, b"h": 2, b"f": 7}
    for frame in range(frames):
        now += 1 / 30
        for rid, ssrc in LAYERS.items():
            for part in range(counts[rid]):
                number = (first + frame) * 8 + part
                packet = video(ssrc, number, first + frame, key_frame=frame % 30 == 0, rid=rid, timestamp=frame * 3000)
                forwarded = router.handle_rtp(publisher, packet + bytes(900 if rid != b"q" else 500), now)
                if written:
                    for effect in forwarded:
                        if isinstance(effect, SendMedia):
                            copies(effect, now)
        due = router.tick(now)
        for effect in due:
            if isinstance(effect, SendRepair):
                effect.slot.write_repair(effect.packet, Page(), now)
        if effects is not None:
            effects += due
    return now
