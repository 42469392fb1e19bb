"""One call: its participants, its speakers, and which publications are on which receive slots."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from services.sfu.core.forwarding.publications import Publication
from services.sfu.core.forwarding.slots import ReceiveSlot
from services.sfu.core.ids import ParticipantKey, ParticipantNumber
from services.sfu.core.selection.speakers import compare, rank
from services.sfu.core.selection.video_requests import HOLD_S, Candidate, choose_videos, order_unrequested
from services.sfu.core.session.agreement import DecodableFormats
from services.sfu.core.session.call_codecs import CallCodecs
from services.sfu.core.session.effects import Effect, SendSlotMap, SendSpeakers
from services.sfu.core.session.lifecycle import TAKING_PART
from services.sfu.core.session.participants import Participant, UnseenVideo

# With fewer there is nothing to rank: everyone hears the other, and knows who it is.
MIN_RANKED: Final = 3
# Speakers that receivers are told of. Raising it makes longer messages; lowering it shows a lively talk as one of two
# people.
MAX_SPEAKERS: Final = 3


class Call:
    """The participants of one call by their names, in the order of their joins."""

    def __init__(self) -> None:
        self.members: dict[ParticipantKey, Participant] = {}
        self.codecs = CallCodecs()
        self._ranked: list[Publication] = []
        self._speakers: tuple[ParticipantKey, ...] = ()
        self._assigned_order: tuple[object, ...] = ()

    def assign_slots(self, now: float, only: Participant | None = None) -> list[Effect]:
        """Assign the publications that belong there now to the slots (of `only`, or of all); gives whose slot map
        changed."""
        members = self._connected()
        sources = self._list_sources(members, now)
        receivers = members if only is None else [only]
        remapped = dict.fromkeys(sources.toggled)
        remapped |= {receiver.number: None for receiver in receivers if _assign_receiver(receiver, sources)}
        remapped |= {member.number: None for member in members if _note_unseen(member, sources)}
        return [SendSlotMap(number) for number in remapped]

    def rank(self, now: float) -> list[Effect]:
        """Rank the speakers anew: the loudest get the audio slots, and everyone is told when the speakers change."""
        members = self._connected()
        if len(members) < MIN_RANKED:
            return self._watch(members, now)
        own = [publication for member in members for publication in member.microphones]
        loudness = list(zip(own, compare([p.level for p in own], now), strict=True))
        self._ranked = rank(loudness, self._ranked)
        order = self._order(members, now)
        effects = self.assign_slots(now) if order != self._assigned_order else []
        self._assigned_order = order
        speaking = [p.publisher for p in self._ranked if p.level.is_speaking(now)]
        speakers = tuple(dict.fromkeys(speaking[:MAX_SPEAKERS]))
        if speakers != self._speakers:
            self._speakers = speakers
            effects += [SendSpeakers(member.number, speakers) for member in members]
        return effects

    def _watch(self, members: Sequence[Participant], now: float) -> list[Effect]:
        """In a call of two only what is on changes by time."""
        order = _list_on(members, now)
        effects = self.assign_slots(now) if order != self._assigned_order else []
        self._assigned_order = order
        return effects

    def leave(self, participant: Participant, now: float) -> list[Effect]:
        """Take the participant off all slots, and fill those that it leaves free."""
        if self.members.get(participant.key) is participant:
            del self.members[participant.key]
        self._ranked = [p for p in self._ranked if p.publisher != participant.key]
        changed = []
        for publication in participant.publications:
            for slot in publication.slots:
                slot.free()
                changed.append(slot.receiver)
            publication.slots.clear()
        for slot in participant.slots:
            _free(slot)
        remapped = {effect.receiver for effect in self.assign_slots(now) if isinstance(effect, SendSlotMap)} | set(
            changed
        )
        present = {member.number for member in self.members.values()}
        return [SendSlotMap(number) for number in sorted(remapped & present)]

    def _connected(self) -> list[Participant]:
        return [m for m in self.members.values() if m.state in TAKING_PART]

    def _order(self, members: Sequence[Participant], now: float) -> tuple[object, ...]:
        """All that time changes of what belongs on the slots: while it stays as it is, so do they."""
        spoke = sorted(((_spoke_at(member), member.number) for member in members), reverse=True)
        # A publication on a slot may stay for a while after another spoke: which ones each is that far ahead of.
        times = [-at for at, _ in spoke]
        ahead = [bisect_left(times, HOLD_S - at) for at, _ in spoke]
        return self._ranked, [number for _, number in spoke], ahead, *_list_on(members, now)

    def _list_sources(self, members: Sequence[Participant], now: float) -> "_Sources":
        """What there is to be heard and seen, the most wanted first."""
        ranks = {publication: rank for rank, publication in enumerate(self._ranked)}
        audio: list[Publication] = []
        sounds: list[Publication] = []
        videos: list[tuple[Publication, Candidate]] = []
        toggled: list[ParticipantNumber] = []
        for member in members:
            spoke_at = _spoke_at(member)
            audio += member.microphones
            sounds += [p for p in member.screen_sounds if p.is_on(now)]
            for p in member.publications:
                if p.kind == "audio":
                    continue
                is_on = p.is_on(now)
                if p.is_reported_off == is_on:
                    p.is_reported_off = not is_on
                    toggled += [slot.receiver for slot in p.slots]
                if is_on or not p.is_screen:
                    key, declares_off = p.publisher, p.declared_on is False
                    videos.append(
                        (p, Candidate(key.user_id, key.device_id, p.is_screen, is_on, spoke_at, declares_off))
                    )
        audio.sort(key=lambda p: ranks.get(p, len(ranks)))
        receivers = [(member.key, member.decodable) for member in members if member.decodable]
        formats = {p.format for p, _ in videos}
        if all(formats <= decodable.keys() for _, decodable in receivers):
            # Nearly always.
            receivers = []
        unrequested = order_unrequested([candidate for _, candidate in videos])
        return _Sources(audio, sounds, videos, unrequested, toggled, receivers)


class _Sources(NamedTuple):
    """What there is in a call to be heard and seen.

    `audio`: microphones, the loudest first. `sounds`: of screens. `unrequested`: indices of `videos` in their order for
    a receiver that requests none. `toggled`: receivers that have a video that went on or off. `receivers`: those of
    video and the formats that they can decode, empty when everybody can decode everything.
    """

    audio: list[Publication]
    sounds: list[Publication]
    videos: list[tuple[Publication, Candidate]]
    unrequested: list[int]
    toggled: list[ParticipantNumber]
    receivers: list[tuple[ParticipantKey, DecodableFormats]]


def _list_on(members: Sequence[Participant], now: float) -> tuple[object, ...]:
    """All that time changes of what is on, and in which format."""
    return tuple(
        (p, p.format)
        for member in members
        for p in member.publications
        if (p.kind == "video" or p.is_screen) and p.is_on(now)
    )


def _note_unseen(member: Participant, sources: _Sources) -> bool:
    """Note which videos a member cannot decode, and which receivers cannot decode its own; whether that is new."""
    formerly = member.unseen, member.unseen_by
    if not sources.receivers:
        member.unseen = member.unseen_by = ()
        return formerly != ((), ())
    unseen: list[UnseenVideo] = []
    unseen_by: list[UnseenVideo] = []
    for publication, candidate in sources.videos:
        source = publication.source
        if not candidate.is_on or not publication.layers or source is None:
            continue
        if publication.publisher == member.key:
            blind = (
                key for key, decodable in sources.receivers if key != member.key and publication.format not in decodable
            )
            unseen_by += [UnseenVideo(key, source, publication.format) for key in blind]
        elif member.decodable and publication.format not in member.decodable:
            unseen.append(UnseenVideo(publication.publisher, source, publication.format))
    member.unseen, member.unseen_by = tuple(unseen), tuple(unseen_by)
    return formerly != (member.unseen, member.unseen_by)


def _spoke_at(member: Participant) -> float:
    return max((p.level.spoke_at for p in member.publications if not p.is_screen), default=-1.0)


def _assign_receiver(receiver: Participant, sources: _Sources) -> bool:
    heard = [slot for slot in receiver.slots if slot.kind == "audio"]
    # Any audio slot takes any audio: RED can always be sent as the Opus within.
    audio = [p for p in sources.audio[: len(heard) + len(receiver.publications)] if p.publisher != receiver.key]
    if sources.sounds and len(heard) > 1 and receiver.screen_sounds:
        # Whoever offers a line for the sound of a screen knows what such a slot is. Somebody is heard in any case.
        audio[1:1] = [p for p in sources.sounds if p.publisher != receiver.key]
    changed = _assign(heard, audio[: len(heard)], receiver.partners)
    return _assign_video(receiver, sources) or changed


def _assign_video(receiver: Participant, sources: _Sources) -> bool:
    seen = [slot for slot in receiver.slots if slot.kind == "video"]
    shown = {slot.publication for slot in seen}

    def is_possible(index: int) -> bool:
        publication = sources.videos[index][0]
        return publication.publisher != receiver.key and publication.format in receiver.decodable

    if receiver.video_requests.requests:
        indices = [index for index in range(len(sources.videos)) if is_possible(index)]
    else:
        # The first ones, and what is on a slot now: no other can win.
        first = islice((index for index in sources.unrequested if is_possible(index)), len(seen))
        held = (index for index, (publication, _) in enumerate(sources.videos) if publication in shown)
        indices = sorted({*first, *filter(is_possible, held)})
    videos = [sources.videos[index] for index in indices]
    held_now = [index for index, (publication, _) in enumerate(videos) if publication in shown]
    choices = choose_videos([candidate for _, candidate in videos], held_now, receiver.video_requests, len(seen))
    changed = _assign(seen, [videos[choice.candidate][0] for choice in choices], receiver.partners)
    for choice in choices:
        for slot in seen:
            if slot.publication is videos[choice.candidate][0]:
                slot.max_height, slot.weight = choice.max_height, choice.weight
    return changed


def _is_fit(slot: ReceiveSlot, publication: Publication) -> bool:
    """Whether the receiver can decode it there; RED can always be sent as the Opus within."""
    return publication.format in slot.formats or (publication.kind == "audio" and slot.kind == "audio")


def _assign(
    slots: Sequence[ReceiveSlot], chosen: Sequence[Publication], partners: Mapping[ReceiveSlot, ReceiveSlot]
) -> bool:
    """Put the chosen on the slots; one that is on a slot stays there."""
    changed = False
    for slot in slots:
        held = slot.publication
        if held is not None and (held not in chosen or not _is_fit(slot, held)):
            _free(slot)
            changed = True
    for publication in chosen:
        if any(slot.publication is publication for slot in slots):
            continue
        free = min(
            (slot for slot in slots if slot.publication is None and _is_fit(slot, publication)),
            key=lambda slot: (slot.is_shared, *_mismatch(publication, slot, partners.get(slot))),
            default=None,
        )
        if free is not None:
            free.assign(publication)
            publication.slots.append(free)
            changed = True
    return changed


def _mismatch(publication: Publication, slot: ReceiveSlot, partner: ReceiveSlot | None) -> tuple[bool, int]:
    """How ill a slot suits a publication: as stereo for a screen's sound alone, and by what is on its partner, with
    which it is played together. The least suits best.

    A person's sound belongs to its camera. Screens and their sounds leave the slots with a partner to others.
    """
    is_other = publication.kind == "audio" and slot.plays_stereo != publication.is_screen
    if publication.is_screen:
        return is_other, 0 if partner is None else 1
    if partner is None or partner.publication is None:
        return is_other, 1
    other = partner.publication
    return is_other, 0 if other.publisher == publication.publisher and not other.is_screen else 2


def _free(slot: ReceiveSlot) -> None:
    if slot.publication is not None:
        slot.publication.slots.remove(slot)
        slot.free()
