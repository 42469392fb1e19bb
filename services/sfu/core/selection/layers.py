"""Simulcast and temporal layers: which pictures of a publisher there are to have, and what each takes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

# A layer without packets for this long is not sent any more.
# Higher: a frozen picture. Lower: flapping at low frame rates.
SILENT_LAYER_S: Final = 1.0
# What a layer is taken to need before it was measured, from the lowest. Higher: comes late. Lower: overshoots at first.
NOMINAL_BPS: Final = (150_000.0, 500_000.0, 1_700_000.0)
# Temporal layers that RFC 7741 can name, less one: with this limit everything goes through.
ALL_TEMPORAL: Final = 3

# A rate this much higher is that of a higher layer. Higher: layers of unknown names stay in the order of the offer.
# Lower: they change places with what the pictures show.
CLEAR_RATIO: Final = 1.4

_SCHEMES: Final = (
    ("q", "h", "f"),
    ("l", "m", "h"),
    ("lo", "mid", "hi"),
    ("low", "mid", "high"),
    ("low", "medium", "high"),
)


def order_rids(rids: Sequence[str]) -> tuple[str, ...]:
    """The rids from the lowest layer to the highest: by the common names, else as they were offered."""
    for scheme in _SCHEMES:
        if all(rid in scheme for rid in rids):
            return tuple(sorted(rids, key=scheme.index))
    return tuple(rids)


def has_common_names(rids: Sequence[str]) -> bool:
    """Whether the names say which layer is which."""
    return any(all(rid in scheme for rid in rids) for scheme in _SCHEMES)


def order_layers(rids: Sequence[str], layers: Sequence["Layer"]) -> tuple[str, ...]:
    """The rids from the lowest layer to the highest by what came of them: by height, else by rate where the names say
    nothing; as they were, while that is not plain."""
    places = range(len(rids))
    heights, rates = [layer.height for layer in layers], [sum(layer.temporal_bps) for layer in layers]
    if all(heights) and len(set(heights)) == len(heights):
        return tuple(rids[place] for place in sorted(places, key=lambda place: heights[place]))
    if has_common_names(rids):
        return tuple(rids)
    order = sorted(places, key=lambda place: rates[place])
    is_plain = all(rates[low] and rates[high] > CLEAR_RATIO * rates[low] for low, high in pairwise(order))
    return tuple(rids[place] for place in order) if is_plain else tuple(rids)


class Layer(NamedTuple):
    """A simulcast layer: last arrival (None before the first), rates by temporal layer (bit/s), height (0: unknown)."""

    last_packet_at: float | None
    temporal_bps: tuple[float, ...]
    height: int


class Option(NamedTuple):
    """A picture to have: simulcast layer by place from the lowest, highest temporal layer, and its rate."""

    place: int
    temporal: int
    rate_bps: float


def is_flowing(layer: Layer, now: float) -> bool:
    """Whether packets of it come."""
    return layer.last_packet_at is not None and now - layer.last_packet_at < SILENT_LAYER_S


def list_options(layers: Sequence[Layer], max_height: int, now: float) -> list[Option]:
    """The pictures to have, from the poorest, of rising rates. `max_height` is what is asked for, 0 for no limit.

    Layers that do not flow are left out, and those beyond the first that is as high as asked for. The lowest layer may
    go without its upper temporal layers; higher ones give up no more than half of their frames, because below that the
    next lower layer looks better.
    """
    options: list[Option] = []
    for place, layer in enumerate(layers):
        if not is_flowing(layer, now):
            continue
        rates = layer.temporal_bps
        if not any(rates):
            rates = (NOMINAL_BPS[min(place, len(NOMINAL_BPS) - 1)],)
        top = len(rates) - 1
        for temporal in range(min(1, top) if options else 0, top + 1):
            rate = sum(rates[: temporal + 1])
            if not options or rate > options[-1].rate_bps:
                options.append(Option(place, ALL_TEMPORAL if temporal == top else temporal, rate))
        if max_height and layer.height >= max_height:
            break
    return options
