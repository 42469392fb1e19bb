"""Participants that are at home on other workers of their call: what their homes say of them, and what is asked there.

To the rest of the core they are publishers like any other. Their packets come over a leg as they came to their home.
What their home knows beside these comes as a whole, again and again (STATE): which streams there are, what each takes,
and what is on. Of the videos a layer that nobody here takes does not come, as if it were paused.
"""

from typing import Final

from services.sfu.core.errors import PacketError
from services.sfu.core.forwarding.publications import InboundStream, Publication
from services.sfu.core.forwarding.slots import ReceiveSlot
from services.sfu.core.session import feedback
from services.sfu.core.session.effects import Effect, SendSlotMap
from services.sfu.core.session.participants import Home, Participant
from services.sfu.core.session.registry import Registry
from services.sfu.core.wire.relay_frames import LayerFacts, PublicationFacts, read_state
from services.sfu.core.wire.rtp import HEADER_SIZE, parse_header

# A remote participant of whom nothing was said for this long is off. Raising it leaves frozen pictures on slots;
# lowering it takes some lost datagrams for the end.
SILENT_HOME_S: Final = 5.0
# Between two times that all that is wanted is said. Raising it leaves what a leg lost unasked for longer; lowering it
# costs datagrams.
WANTS_INTERVAL_S: Final = 1.0


class RemoteParticipants:
    """Those of one worker."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._wants_due = 0.0

    def handle_state(self, remote: Participant, home: Home, frame: bytes, now: float) -> list[Effect] | None:
        """Take in what a home says; whose slot maps change by it at once. None when nothing has changed."""
        version, facts = read_state(frame)
        if version < home.version:
            return None
        changed = not home.is_live
        home.version, home.heard_at, home.is_live = version, now, True
        told = {fact.mid: fact for fact in facts}
        remapped: dict[Effect, None] = {}
        for publication in remote.publications:
            before = publication.muted, publication.relayed_on, publication.stream_changes
            _apply(remote, publication, told.get(publication.mid))
            if publication.muted != before[0]:
                remapped |= {SendSlotMap(slot.receiver): None for slot in publication.slots}
            after = publication.muted, publication.relayed_on, publication.stream_changes
            changed = changed or before != after
        return list(remapped) if changed else None

    def begin(self, remote: Participant, home: Home, epoch: int, datagram: bytes, now: float) -> None:
        """Before a packet: a stream that began anew on the leg has numbers that do not go on.

        PacketError: unknown_ssrc before its home has named it, relay_late for one from before it began.
        """
        if len(datagram) < HEADER_SIZE:
            raise PacketError("rtp_malformed")
        ssrc = int.from_bytes(datagram[8:12], "big")
        stream = remote.streams.get(ssrc)
        if stream is None:
            raise PacketError("unknown_ssrc")
        if stream.last_packet_at is None:
            # Slots were chosen for it when it was named; it is no news.
            stream.last_packet_at = now
        known = home.epochs.get(ssrc, 0)
        if epoch == known:
            return
        if epoch < known:
            raise PacketError("relay_late")
        home.epochs[ssrc] = epoch
        header = parse_header(datagram)
        if known and header.payload_type in stream.payload_types:
            _carry_over(stream, remote.restart(stream, header), now)

    def tick(self, now: float) -> tuple[list[Participant], list[Effect]]:
        """Those that have just gone off because their home is silent, and what is asked of the others again."""
        silent: list[Participant] = []
        effects: list[Effect] = []
        is_due = now >= self._wants_due
        if is_due:
            self._wants_due = now + WANTS_INTERVAL_S
        for remote in self._registry.remotes.values():
            home = remote.home
            if home is None or not home.is_live:
                continue
            if now - home.heard_at >= SILENT_HOME_S:
                home.is_live = False
                for publication in remote.publications:
                    publication.relayed_on = False
                silent.append(remote)
            elif is_due and any(_is_wanted(publication) for publication in remote.publications):
                effects.append(feedback.build_wants(remote, home, now))
        return silent, effects


def _is_wanted(publication: Publication) -> bool:
    return publication.kind == "video" and not publication.layers.keys() <= publication.demand.paused


def _apply(remote: Participant, publication: Publication, fact: PublicationFacts | None) -> None:
    publication.relayed_on = fact is not None and fact.is_on
    publication.declared_on = None if fact is None else fact.declared_on
    if publication.kind == "audio" and not publication.is_screen:
        publication.level.is_muted = publication.declared_on is False
    if fact is None:
        return
    for layer in fact.layers:
        _apply_layer(remote, publication, layer)
    rids = tuple(layer.rid for layer in fact.layers if layer.rid in publication.layers)
    if len(set(rids)) == len(rids):
        publication.ordered_rids = (*rids, *(rid for rid in publication.ordered_rids if rid not in rids))


def _apply_layer(remote: Participant, publication: Publication, layer: LayerFacts) -> None:
    is_new = layer.rid not in publication.layers
    try:
        stream = remote.name_stream(layer.ssrc, publication.mid, layer.rid, layer.payload_type)
    except PacketError:
        # It has had too many SSRCs.
        return
    if stream is None:
        return
    if is_new and publication.kind == "video":
        publication.demand.pause(layer.rid)
    if layer.rid in publication.demand.paused or stream.last_packet_at is None:
        stream.known_bps = tuple(map(float, layer.rates_bps))
        stream.height = layer.height


def _carry_over(former: InboundStream, stream: InboundStream, now: float) -> None:
    """What is known of a stream goes on, and so do those that take it."""
    stream.known_bps, stream.height, stream.clock = former.known_bps, former.height, former.clock
    stream.last_packet_at = now
    for slot in former.publication.slots:
        if isinstance(slot, ReceiveSlot) and former in (slot.wanted, slot.source):
            slot.want(stream, slot.temporal, slot.spatial)
