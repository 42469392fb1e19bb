"""One call: who is in it, who speaks, and who is on whose receive slots."""

from collections.abc import Sequence

from services.sfu.core.effects import Effect, SendSlotMap, SendSpeakers
from services.sfu.core.ids import ParticipantKey
from services.sfu.core.lifecycle import State
from services.sfu.core.participants import Participant
from services.sfu.core.publications import Publication
from services.sfu.core.slots import ReceiveSlot
from services.sfu.core.speakers import rank
from services.sfu.core.wishes import Candidate, choose_videos

# With fewer there is nothing to rank: everyone hears the other, and knows who it is.
MIN_RANKED = 3
# Speakers that receivers are told of. Higher: longer messages. Lower: a lively talk looks like one of two.
MAX_SPEAKERS = 3


class Call:
    """The participants of one call by their names, in the order of their joins."""

    def __init__(self) -> None:
        self.members: dict[ParticipantKey, Participant] = {}
        self._ranked: list[Publication] = []
        self._speakers: tuple[ParticipantKey, ...] = ()

    def settle(self, now: float, only: Participant | None = None) -> list[Effect]:
        """Put on the slots (of `only`, or of all) who belongs there now; who is told that something changed."""
        members = self._connected()
        receivers = members if only is None else [only]
        return [SendSlotMap(receiver.number) for receiver in receivers if self._settle_one(receiver, members, now)]

    def rank(self, now: float) -> list[Effect]:
        """Rank the speakers anew: the loudest get the audio slots, and everyone is told when the speakers change."""
        members = self._connected()
        if len(members) < MIN_RANKED:
            return []
        own = [publication for member in members for publication in member.publications if publication.kind == "audio"]
        loudness = [(publication, publication.level.loudness(now)) for publication in own]
        self._ranked = rank(loudness, self._ranked)
        effects = self.settle(now)
        speaking = [p.publisher for p in self._ranked if not p.muted and p.level.is_speaking(now)]
        speakers = tuple(dict.fromkeys(speaking[:MAX_SPEAKERS]))
        if speakers != self._speakers:
            self._speakers = speakers
            effects += [SendSpeakers(member.number, speakers) for member in members]
        return effects

    def leave(self, participant: Participant, now: float) -> list[Effect]:
        """Take the participant off all slots, and fill those that it leaves free."""
        if self.members.get(participant.key) is participant:
            del self.members[participant.key]
        self._ranked = [p for p in self._ranked if p.publisher != participant.key]
        changed = []
        for publication in participant.publications:
            for slot in publication.slots:
                slot.assign(None)
                changed.append(slot.receiver)
            publication.slots.clear()
        for slot in participant.slots:
            _free(slot)
        told = {effect.receiver for effect in self.settle(now) if isinstance(effect, SendSlotMap)} | set(changed)
        present = {member.number for member in self.members.values()}
        return [SendSlotMap(number) for number in sorted(told & present)]

    def _connected(self) -> list[Participant]:
        return [m for m in self.members.values() if m.state in (State.CONNECTED, State.FLOWING)]

    def _settle_one(self, receiver: Participant, members: Sequence[Participant], now: float) -> bool:
        others = [p for member in members if member is not receiver for p in member.publications]
        heard = [slot for slot in receiver.slots if slot.kind == "audio"]
        places = {publication: place for place, publication in enumerate(self._ranked)}
        audio = sorted(
            (p for p in others if p.kind == "audio" and _can_hold(heard, p)),
            key=lambda p: places.get(p, len(places)),
        )
        changed = _place(heard, audio[: len(heard)])
        return self._settle_video(receiver, others, members, now) or changed

    def _settle_video(
        self, receiver: Participant, others: Sequence[Publication], members: Sequence[Participant], now: float
    ) -> bool:
        seen = [slot for slot in receiver.slots if slot.kind == "video"]
        videos = [p for p in others if p.kind == "video" and _can_hold(seen, p) and (not p.is_screen or p.is_live(now))]
        spoke_at = {m.key: max((p.level.spoke_at for p in m.publications), default=-1.0) for m in members}
        candidates = [
            Candidate(p.publisher.user_id, p.publisher.device_id, p.is_screen, not p.muted, spoke_at[p.publisher])
            for p in videos
        ]
        held = [place for place, p in enumerate(videos) if any(slot.publication is p for slot in seen)]
        choices = choose_videos(candidates, held, receiver.wishes, len(seen))
        changed = _place(seen, [videos[choice.place] for choice in choices])
        for choice in choices:
            for slot in seen:
                if slot.publication is videos[choice.place]:
                    slot.max_height, slot.weight = choice.max_height, choice.weight
        return changed


def _can_hold(slots: Sequence[ReceiveSlot], publication: Publication) -> bool:
    return any(_is_fit(slot, publication) for slot in slots)


def _is_fit(slot: ReceiveSlot, publication: Publication) -> bool:
    """Whether the receiver can decode it there; RED can always be sent as the Opus within."""
    return publication.codec in slot.codecs or (publication.kind == "audio" and slot.kind == "audio")


def _place(slots: Sequence[ReceiveSlot], chosen: Sequence[Publication]) -> bool:
    """Put the chosen on the slots; whoever is on one stays there."""
    changed = False
    for slot in slots:
        if slot.publication is not None and slot.publication not in chosen:
            _free(slot)
            changed = True
    for publication in chosen:
        if any(slot.publication is publication for slot in slots):
            continue
        free = next((slot for slot in slots if slot.publication is None and _is_fit(slot, publication)), None)
        if free is not None:
            free.assign(publication)
            publication.slots.append(free)
            changed = True
    return changed


def _free(slot: ReceiveSlot) -> None:
    if slot.publication is not None:
        slot.publication.slots.remove(slot)
        slot.assign(None)
