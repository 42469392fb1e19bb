"""Selects the layer of each of a receiver's slots by what its path bears: audio first, then video (allocator.py)."""

from collections.abc import Sequence

from services.sfu.core.congestion.downlink import DownlinkPath
from services.sfu.core.forwarding.publications import Publication
from services.sfu.core.forwarding.slots import ReceiveSlot
from services.sfu.core.selection.allocator import Demand, allocate
from services.sfu.core.selection.layers import LayerChoice, LayerChoices, SentLayer
from services.sfu.core.selection.tunables import (
    CAUTION_S,
    CAUTIOUS_MARGIN,
    NOMINAL_AUDIO_BPS,
    TRIAL_S,
    UPGRADE_MARGIN,
)


def select_layers(
    slots: Sequence[ReceiveSlot], path: DownlinkPath, layer_choices: LayerChoices, now: float
) -> list[Publication]:
    """Select for each slot anew; gives the publications that a key frame is wanted of."""
    videos: list[tuple[ReceiveSlot, Sequence[SentLayer], Sequence[LayerChoice]]] = []
    audio_bps = 0.0
    for slot in slots:
        publication = slot.publication
        if publication is None:
            continue
        if slot.kind == "audio":
            microphone = publication.streams_upwards()
            audio_bps += NOMINAL_AUDIO_BPS
            if microphone:
                audio_bps += max(microphone[0].rate_bps(now) - NOMINAL_AUDIO_BPS, 0.0)
                slot.want(microphone[0])
        elif publication.layers:
            videos.append((slot, *layer_choices.choices_of(publication, slot.max_height, now)))
    if not videos:
        path.note_selection(audio_bps, 0.0, now)
        return []
    demands = [_demand(slot, layers, choices, now) for slot, layers, choices in videos]
    allocation = allocate(demands, path.estimate_bps(now) - audio_bps)
    can_probe = any(slot.can_probe for slot, _, _ in videos)
    needed_bps = allocation.needed_bps + audio_bps if allocation.needed_bps and can_probe else 0.0
    best_bps = audio_bps + sum(demand.rates[-1] for demand in demands if demand.rates)
    path.note_selection(allocation.used_bps + audio_bps, needed_bps, now, best_bps)
    wanting = []
    for (slot, layers, choices), selected in zip(videos, allocation.selected, strict=True):
        if _apply(slot, layers, choices, selected, now):
            wanting.append(slot.publication)
    return [publication for publication in wanting if publication is not None]


def _demand(slot: ReceiveSlot, layers: Sequence[SentLayer], choices: Sequence[LayerChoice], now: float) -> Demand:
    current = _current(slot, layers, choices)
    if slot.path.is_full:
        # Nothing better while there is a queue: its key frame would make it longer.
        choices = choices[: (current or 0) + 1]
    margin = CAUTIOUS_MARGIN if now < slot.path.cautious_until else UPGRADE_MARGIN
    return Demand(tuple(choice.rate_bps for choice in choices), current, slot.weight, margin)


def _apply(
    slot: ReceiveSlot,
    layers: Sequence[SentLayer],
    choices: Sequence[LayerChoice],
    selected: int | None,
    now: float,
) -> bool:
    """Let a slot have the selected choice; whether it waits for a key frame."""
    if selected is not None:
        layer, temporal = choices[selected].layer, choices[selected].temporal
        stream, spatial = layers[layer]
        held = _held_layer(slot, layers)
        if held is not None:
            _note_change(slot, held, layer, now)
        slot.want(stream, temporal, spatial)
        if slot.path.is_full and _waits_below(slot, layers, layer):
            # More of the larger one would only stand before the key frame of this one.
            slot.stop()
            slot.want(stream, temporal, spatial)
    elif choices:
        slot.want(None)
    awaited = slot.source if slot.needs_key_frame else slot.wanted
    if awaited is not None and slot.publication is not None:
        slot.publication.want_key_frame(awaited)
    return awaited is not None


def _waits_below(slot: ReceiveSlot, layers: Sequence[SentLayer], layer: int) -> bool:
    """Whether a slot has a larger layer until the key frame of this one comes."""
    if slot.needs_key_frame:
        return slot.has_more
    is_waiting = slot.wanted is layers[layer].stream
    return is_waiting and any(above.stream is slot.source for above in layers[layer:])


def _held_layer(slot: ReceiveSlot, layers: Sequence[SentLayer]) -> int | None:
    """The layer that the slot has now, or waits for."""
    held = slot.wanted or slot.source
    found = None
    for index, layer in enumerate(layers):
        if layer.stream is held and layer.spatial <= slot.spatial:
            found = index
    return found


def _note_change(slot: ReceiveSlot, held: int, layer: int, now: float) -> None:
    if layer > held:
        slot.path.raised_at = now
    elif layer < held and now - slot.path.raised_at < TRIAL_S:
        slot.path.cautious_until = now + CAUTION_S


def _current(slot: ReceiveSlot, layers: Sequence[SentLayer], choices: Sequence[LayerChoice]) -> int | None:
    """The choice that the slot has now, or waits for."""
    held = _held_layer(slot, layers)
    found = None
    for index, choice in enumerate(choices):
        if held is None or layers[choice.layer].stream is not layers[held].stream:
            continue
        if choice.layer < held or (choice.layer == held and choice.temporal <= slot.temporal):
            found = index
    return found
