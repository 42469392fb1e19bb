"""Simulcast and temporal layers: which of them a publication has to offer for a height, and what each takes."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from services.sfu.core.forwarding.publications import InboundStream, Publication
from services.sfu.core.forwarding.rids import has_common_names
from services.sfu.core.selection.tunables import CLEAR_RATIO, NOMINAL_BPS, OPTIONS_LIFE_S, SILENT_LAYER_S
from services.sfu.core.wire.codecs import ALL_TEMPORAL


class Layer(NamedTuple):
    """A simulcast layer: last arrival (None before the first), rates by temporal layer (bit/s), height (0: unknown)."""

    last_packet_at: float | None
    temporal_bps: tuple[float, ...]
    height: int


class Option(NamedTuple):
    """What can be sent: a simulcast layer, counted from the lowest, its highest temporal layer, and its rate."""

    layer: int
    temporal: int
    rate_bps: float


class _Listed:
    """The options of one publication by the height that is asked for, with the streams that they count through."""

    def __init__(self, listed_at: float, stream_changes: int) -> None:
        self.listed_at = listed_at
        self.stream_changes = stream_changes
        self.by_height: dict[int, tuple[list[InboundStream], list[Option]]] = {}


class LayerOptions:
    """The options of all publications. They are the same for all receivers, so they are listed once for many."""

    def __init__(self) -> None:
        self._listed: dict[Publication, _Listed] = {}

    def __len__(self) -> int:
        return len(self._listed)

    def options_of(
        self, publication: Publication, max_height: int, now: float
    ) -> tuple[Sequence[InboundStream], Sequence[Option]]:
        """The streams of a publication from the lowest layer, and what can be sent of them."""
        listed = self._listed.get(publication)
        if listed is None or now - listed.listed_at >= OPTIONS_LIFE_S:
            listed = self._listed[publication] = _Listed(now, publication.stream_changes)
        elif listed.stream_changes != publication.stream_changes:
            listed.stream_changes = publication.stream_changes
            listed.by_height.clear()
        found = listed.by_height.get(max_height)
        if found is None:
            streams = publication.streams_upwards()
            layers = [_layer_of(stream, now) for stream in streams]
            if len(layers) > 1:
                _order(publication, streams, layers, now)
                streams = publication.streams_upwards()
                layers = [_layer_of(stream, now) for stream in streams]
            found = listed.by_height[max_height] = streams, list_options(layers, max_height, now)
        return found

    def forget(self, publications: Iterable[Publication]) -> None:
        """Their participant has left."""
        for publication in publications:
            self._listed.pop(publication, None)


def _layer_of(stream: InboundStream, now: float) -> Layer:
    stream.rate_bps(now)
    return Layer(stream.last_packet_at, tuple(meter.rate_bps for meter in stream.rates), stream.height)


def _order(publication: Publication, streams: Sequence[InboundStream], layers: Sequence[Layer], now: float) -> None:
    """Find out which of the layers that flow are the higher ones; the others come after them."""
    flows = [is_flowing(layer, now) for layer in layers]
    known = [stream.rid for stream, flowing in zip(streams, flows, strict=True) if flowing]
    ordered = order_layers(known, [layer for layer, flowing in zip(layers, flows, strict=True) if flowing])
    if ordered != tuple(known):
        others = (rid for rid in publication.ordered_rids if rid not in ordered)
        publication.ordered_rids = (*ordered, *others)


def order_layers(rids: Sequence[str], layers: Sequence[Layer]) -> tuple[str, ...]:
    """The rids from the lowest layer to the highest by what came of them: by height, else by rate where the names say
    nothing; as they were, while that is not plain."""
    heights, rates = [layer.height for layer in layers], [sum(layer.temporal_bps) for layer in layers]
    if all(heights) and len(set(heights)) == len(heights):
        return tuple(rids[index] for index in sorted(range(len(rids)), key=lambda index: heights[index]))
    if has_common_names(rids):
        return tuple(rids)
    order = sorted(range(len(rids)), key=lambda index: rates[index])
    is_plain = all(rates[low] and rates[high] > CLEAR_RATIO * rates[low] for low, high in pairwise(order))
    return tuple(rids[index] for index in order) if is_plain else tuple(rids)


def is_flowing(layer: Layer, now: float) -> bool:
    """Whether packets of it come."""
    return layer.last_packet_at is not None and now - layer.last_packet_at < SILENT_LAYER_S


def list_options(layers: Sequence[Layer], max_height: int, now: float) -> list[Option]:
    """What can be sent, from the poorest, of rising rates. `max_height` is what is asked for, 0 for no limit.

    Layers that do not flow are left out, and those beyond the first that is as high as asked for. The lowest layer may
    go without its upper temporal layers; higher ones give up no more than half of their frames, because below that the
    next lower layer looks better.
    """
    options: list[Option] = []
    for index, layer in enumerate(layers):
        if not is_flowing(layer, now):
            continue
        rates = layer.temporal_bps
        if not any(rates):
            rates = (NOMINAL_BPS[min(index, len(NOMINAL_BPS) - 1)],)
        top = len(rates) - 1
        for temporal in range(min(1, top) if options else 0, top + 1):
            rate = sum(rates[: temporal + 1])
            if not options or rate > options[-1].rate_bps:
                options.append(Option(index, ALL_TEMPORAL if temporal == top else temporal, rate))
        if max_height and layer.height >= max_height:
            break
    return options
