"""Aims a receiver's slots at the layers that its path bears: audio first, then video by allocator.py."""

from typing import Final

from services.sfu.core.forwarding.publications import InboundStream, Publication
from services.sfu.core.forwarding.slots import ReceiveSlot
from services.sfu.core.selection.allocator import (
    CAUTIOUS_MARGIN,
    UPGRADE_MARGIN,
    Demand,
    allocate,
)
from services.sfu.core.selection.layers import Option
from services.sfu.core.session.participants import Participant

# What audio is taken to need before it was measured.
NOMINAL_AUDIO_BPS: Final = 40_000.0
# A layer that is lost again within this time was too much. Higher: a fall of the rate looks like one. Lower: the layer
# comes and goes.
TRIAL_S: Final = 5.0
# And for this long the next try has to have more room. Higher: a better picture comes late. Lower: more freezes.
CAUTION_S: Final = 10.0


def select_layers(receiver: Participant, now: float) -> list[Publication]:
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
        receiver.path.note_selection(audio_bps, 0.0, now)
        return []
    demands = [_demand(slot, streams, options, now) for slot, streams, options in videos]
    shared = allocate(demands, receiver.path.estimate_bps(now) - audio_bps)
    can_probe = any(slot.can_probe for slot, _, _ in videos)
    needed_bps = shared.needed_bps + audio_bps if shared.needed_bps and can_probe else 0.0
    best_bps = audio_bps + sum(demand.rates[-1] for demand in demands if demand.rates)
    receiver.path.note_selection(shared.used_bps + audio_bps, needed_bps, now, best_bps)
    wanting = []
    for (slot, streams, options), place in zip(videos, shared.places, strict=True):
        if _want(slot, streams, options, place, now):
            wanting.append(slot.publication)
    return [publication for publication in wanting if publication is not None]


def _demand(slot: ReceiveSlot, streams: list[InboundStream], options: list[Option], now: float) -> Demand:
    current = _current(slot, streams, options)
    if slot.path.is_full:
        # Nothing better while there is a queue: its key frame would make it longer.
        options = options[: (current or 0) + 1]
    margin = CAUTIOUS_MARGIN if now < slot.path.cautious_until else UPGRADE_MARGIN
    return Demand(tuple(option.rate_bps for option in options), current, slot.weight, margin)


def _want(
    slot: ReceiveSlot, streams: list[InboundStream], options: list[Option], place: int | None, now: float
) -> bool:
    """Aim one slot; whether it waits for a key frame."""
    if place is not None:
        stream = streams[options[place].place]
        _note_move(slot, streams, options[place].place, now)
        slot.want(stream, options[place].temporal)
        if slot.path.is_full and stream is slot.wanted and slot.source in streams[options[place].place :]:
            # More of the larger one would only stand before the key frame of this one.
            slot.stop()
    elif options:
        slot.want(None)
    if slot.wanted is not None and slot.publication is not None:
        slot.publication.want_key_frame(slot.wanted)
    return slot.wanted is not None


def _note_move(slot: ReceiveSlot, streams: list[InboundStream], place: int, now: float) -> None:
    held = slot.wanted or slot.source
    if held not in streams:
        return
    if place > streams.index(held):
        slot.path.raised_at = now
    elif place < streams.index(held) and now - slot.path.raised_at < TRIAL_S:
        slot.path.cautious_until = now + CAUTION_S


def _current(slot: ReceiveSlot, streams: list[InboundStream], options: list[Option]) -> int | None:
    """The option that the slot has now, or waits for."""
    stream = slot.wanted or slot.source
    found = None
    for place, option in enumerate(options):
        if streams[option.place] is stream and option.temporal <= slot.temporal:
            found = place
    return found
