"""Which codec each own video of a call is wanted in: the best that all can decode, as the deployment ranks them."""

from collections.abc import Iterable, Sequence
from typing import Final

from services.sfu.core.forwarding.publications import Publication
from services.sfu.core.session.agreement import choose_format
from services.sfu.core.session.effects import Effect, SendWantedLayers
from services.sfu.core.session.participants import Participant
from services.sfu.core.wire.codec_formats import Format

# A better codec that was given up for somebody is wanted again when it has been possible for this long. Raising it goes
# on with the poorer one for longer after they left; lowering it makes a key frame each time that somebody comes and
# goes.
RETURN_S: Final = 10.0


class CallCodecs:
    """Those of one call. A codec that somebody in it cannot decode is left at once."""

    def __init__(self) -> None:
        # When a better codec is to be gone back to, by publication.
        self._returns: dict[Publication, float] = {}
        self._fallen: set[Publication] = set()

    def update(self, members: Sequence[Participant], order: tuple[str, ...], now: float) -> list[Effect]:
        """Choose for all anew, because somebody came or left; gives whom to tell."""
        counts: dict[Format, int] = {}
        for member in members:
            for name in member.decodable:
                counts[name] = counts.get(name, 0) + 1
        told = [member for member in members if self._update_member(member, counts, order, now)]
        present = {publication for member in members for publication in member.publications}
        self._fallen &= present
        self._returns = {publication: at for publication, at in self._returns.items() if publication in present}
        return [SendWantedLayers(member.number) for member in told]

    def tick(self, members: Iterable[Participant], order: tuple[str, ...], now: float) -> list[Effect]:
        """Go back to the better codecs that have been possible for long enough."""
        if not self._returns or min(self._returns.values()) > now:
            return []
        return self.update(tuple(members), order, now)

    def _update_member(
        self, member: Participant, counts: dict[Format, int], order: tuple[str, ...], now: float
    ) -> bool:
        def count(name: Format) -> int:
            return counts.get(name, 0) - (name in member.decodable)

        changed = False
        for publication in member.publications:
            if publication.kind != "video":
                continue
            best, present = choose_format(publication.codecs.values(), count, order), publication.wanted
            if best == present:
                self._returns.pop(publication, None)
                continue
            if count(best) > count(present):
                self._fallen.add(publication)
            elif publication in self._fallen:
                if now < self._returns.setdefault(publication, now + RETURN_S):
                    continue
                self._fallen.discard(publication)
            self._returns.pop(publication, None)
            publication.wanted = best
            changed = True
        return changed
