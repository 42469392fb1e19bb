"""Aims a receiver's slots at the layers that its path bears: audio first, then video by allocator.py."""

from typing import Final

from services.sfu.core.allocator import Demand, allocate
from services.sfu.core.layers import Option
from services.sfu.core.participants import Participant
from services.sfu.core.publications import InboundStream, Publication
from services.sfu.core.slots import ReceiveSlot

# What audio is taken to need before it was measured.
NOMINAL_AUDIO_BPS: Final = 40_000.0


def aim(receiver: Participant, now: float) -> list[Publication]:
    """Aim each slot anew; gives the publications that a key frame is wanted of."""
    videos: list[tuple[ReceiveSlot, list[InboundStream], list[Option]]] = []
    audio_bps = 0.0
    for slot in receiver.slots:
        publication = slot.publication
        if publication is None:
            continue
        if slot.kind == "audio":
            streams = publication.streams_upwards()
            audio_bps += NOMINAL_AUDIO_BPS
            if streams:
                audio_bps += max(streams[0].rate_bps(now) - NOMINAL_AUDIO_BPS, 0.0)
                slot.want(streams[0])
        elif publication.layers:
            videos.append((slot, *publication.options(slot.max_height, now)))
    if not videos:
        receiver.path.note_aimed(audio_bps, 0.0, now)
        return []
    demands = [
        Demand(tuple(option.rate_bps for option in options), _current(slot, streams, options), slot.weight)
        for slot, streams, options in videos
    ]
    shared = allocate(demands, receiver.path.estimate_bps(now) - audio_bps)
    can_probe = any(slot.can_probe for slot, _, _ in videos)
    needed_bps = shared.needed_bps + audio_bps if shared.needed_bps and can_probe else 0.0
    receiver.path.note_aimed(shared.used_bps + audio_bps, needed_bps, now)
    wanting = []
    for (slot, streams, options), place in zip(videos, shared.places, strict=True):
        if _want(slot, streams, options, place):
            wanting.append(slot.publication)
    return [publication for publication in wanting if publication is not None]


def _want(slot: ReceiveSlot, streams: list[InboundStream], options: list[Option], place: int | None) -> bool:
    """Aim one slot; whether it waits for a key frame."""
    if place is not None:
        slot.want(streams[options[place].place], options[place].temporal)
    elif options:
        slot.want(None)
    if slot.wanted is not None and slot.publication is not None:
        slot.publication.want_key_frame(slot.wanted)
    return slot.wanted is not None


def _current(slot: ReceiveSlot, streams: list[InboundStream], options: list[Option]) -> int | None:
    """The option that the slot has now, or waits for."""
    stream = slot.wanted or slot.source
    found = None
    for place, option in enumerate(options):
        if streams[option.place] is stream and option.temporal <= slot.temporal:
            found = place
    return found
