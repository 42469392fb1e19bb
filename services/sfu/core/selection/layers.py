"""Layers: which of them a publication has to offer for a height, and what each takes.

A layer is sent in one of two ways: as a stream of its own (simulcast), or in one stream with those below it (SVC).
Either has a height, a rate, and temporal layers; what a receiver gets of them is chosen in the same way.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from services.sfu.core.forwarding.publications import InboundStream, Publication
from services.sfu.core.forwarding.rids import has_common_names
from services.sfu.core.forwarding.target_rates import TargetRates
from services.sfu.core.selection.tunables import CHOICES_LIFE_S, CLEAR_RATIO, NOMINAL_BPS, SILENT_LAYER_S
from services.sfu.core.wire.codecs import ALL_SPATIAL, ALL_TEMPORAL


class SentLayer(NamedTuple):
    """How a layer is sent: its stream, and up to which spatial layer of that."""

    stream: InboundStream
    spatial: int = ALL_SPATIAL


class Layer(NamedTuple):
    """A layer: last arrival (None before the first), rates by temporal layer (bit/s), height (0: unknown).

    `may_come`: it is paused or on its way, so that it comes when somebody wants it.
    """

    last_packet_at: float | None
    temporal_bps: tuple[float, ...]
    height: int
    may_come: bool = False


class LayerChoice(NamedTuple):
    """What can be sent: a layer, counted from the lowest, its highest temporal layer, and its rate."""

    layer: int
    temporal: int
    rate_bps: float


class _CachedChoices:
    """The choices of one publication by the height that is asked for, with the layers that they count through."""

    def __init__(self, cached_at: float, stream_changes: int) -> None:
        self.cached_at = cached_at
        self.stream_changes = stream_changes
        self.by_height: dict[int, tuple[list[SentLayer], list[LayerChoice]]] = {}


class LayerChoices:
    """The layer choices of all publications. They are the same for all receivers, so they are listed once for many."""

    def __init__(self) -> None:
        self._cached: dict[Publication, _CachedChoices] = {}

    def __len__(self) -> int:
        return len(self._cached)

    def choices_of(
        self, publication: Publication, max_height: int, now: float
    ) -> tuple[Sequence[SentLayer], Sequence[LayerChoice]]:
        """The layers of a publication from the lowest, and what can be sent of them."""
        cached = self._cached.get(publication)
        if cached is None or now - cached.cached_at >= CHOICES_LIFE_S:
            cached = self._cached[publication] = _CachedChoices(now, publication.stream_changes)
        elif cached.stream_changes != publication.stream_changes:
            cached.stream_changes = publication.stream_changes
            cached.by_height.clear()
        found = cached.by_height.get(max_height)
        if found is None:
            streams = publication.streams_upwards()
            layers = [_layer_of(stream, now) for stream in streams]
            if len(layers) > 1 and not any(layer.may_come and not is_flowing(layer, now) for layer in layers):
                # Those that are paused would seem to be the highest.
                _order(publication, streams, layers, now)
                streams = publication.streams_upwards()
                layers = [_layer_of(stream, now) for stream in streams]
            sent, layers = _spread(streams, layers, now)
            found = cached.by_height[max_height] = sent, list_choices(layers, max_height, now)
        return found

    def forget(self, publications: Iterable[Publication]) -> None:
        """Their participant has left."""
        for publication in publications:
            self._cached.pop(publication, None)


def _layer_of(stream: InboundStream, now: float) -> Layer:
    publication, rid = stream.publication, stream.rid
    bps = stream.rate_bps(now)
    rates = tuple(meter.rate_bps for meter in stream.rates)
    if not publication.demand.is_settled(rid, now):
        # Of the second in which it was paused, or came again, only a part was measured.
        rates = rates if bps > sum(stream.known_bps) else stream.known_bps
    elif bps:
        stream.known_bps = rates
    may_come = publication.declared_on is not False and publication.demand.may_come(rid, now)
    return Layer(stream.last_packet_at, rates, stream.height, may_come)


def _spread(
    streams: Sequence[InboundStream], layers: Sequence[Layer], now: float
) -> tuple[list[SentLayer], list[Layer]]:
    """The same with the spatial layers within each stream."""
    sent: list[SentLayer] = []
    spread: list[Layer] = []
    for stream, layer in zip(streams, layers, strict=True):
        targets = stream.targets
        if targets is None or targets.top.spatial == 0:
            sent.append(SentLayer(stream))
            spread.append(layer)
            continue
        top = targets.top.spatial
        for spatial in range(top + 1):
            # What the highest does not need is left out where there is such; else everything goes to many at once.
            is_all = spatial == top and not targets.has_others
            sent.append(SentLayer(stream, ALL_SPATIAL if is_all else spatial))
            spread.append(_spatial_layer(stream, targets, spatial, layer.may_come, now))
    return sent, spread


def _spatial_layer(stream: InboundStream, targets: TargetRates, spatial: int, may_come: bool, now: float) -> Layer:
    rates = targets.rates_of(spatial, now)
    if not stream.publication.demand.is_settled(stream.rid, now):
        known = targets.known.get(spatial, ())
        rates = rates if sum(rates) > sum(known) else known
    elif any(rates):
        targets.known[spatial] = rates
    # One that is not sent for the time being is none: it comes back with a key frame.
    last_at = targets.last_at[spatial] if targets.is_active(spatial) else None
    return Layer(last_at, rates, stream.height_of(spatial), may_come)


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


def list_choices(layers: Sequence[Layer], max_height: int, now: float) -> list[LayerChoice]:
    """What can be sent, from the poorest, of rising rates. `max_height` is what is asked for, 0 for no limit.

    Layers that neither flow nor would come are left out, and those beyond the first that is as high as asked for. The
    lowest layer may go without its upper temporal layers; higher ones give up no more than half of their frames,
    because below that the next lower layer looks better.
    """
    choices: list[LayerChoice] = []
    for index, layer in enumerate(layers):
        if not is_flowing(layer, now) and not layer.may_come:
            continue
        rates = layer.temporal_bps
        if not any(rates):
            rates = (NOMINAL_BPS[min(index, len(NOMINAL_BPS) - 1)],)
        top = len(rates) - 1
        for temporal in range(min(1, top) if choices else 0, top + 1):
            rate = sum(rates[: temporal + 1])
            if not choices or rate > choices[-1].rate_bps:
                choices.append(LayerChoice(index, ALL_TEMPORAL if temporal == top else temporal, rate))
        if max_height and layer.height >= max_height:
            break
    return choices
