"""Which deliveries were passed on already, and which wait a moment for those before them. No IO, no clock.

A delivery with an id may come two ways: directly from whoever committed it, and by `delivery.v1`, the log. What comes
first is passed on. The log leaves nothing out and is in order; the direct way may lose, delay and reorder. So what
comes by the log never waits, and what came directly waits for what is missing before it, for a bounded time.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.presence.core.model import Delivery, Place, UserId

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")

# Deliveries, and places of people in conversations, that are remembered: so many at least, up to twice as many. Raising
# them takes more memory (about 400 bytes each); lowering them passes more on twice while the log is far behind, which
# devices bear.
PASSED_LIMIT = 20_000
PLACES_LIMIT = 20_000
# How long a delivery waits for the one before it, which comes by the log if the direct way lost it. Raising it delays
# what follows one that is lost for good; lowering it lets more devices see gaps, for which they synchronise.
HOLD_S = 0.5
# Deliveries that wait at a time. Raising it takes more memory while the log stands still; lowering it lets more devices
# see gaps.
HELD_LIMIT = 5_000


class Recent(Generic[KeyT, ValueT]):
    """The newest entries, `limit` at least and twice as many at most; each costs the same, old or new."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._newer: dict[KeyT, ValueT] = {}
        self._older: dict[KeyT, ValueT] = {}

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def get(self, key: KeyT) -> ValueT | None:
        """What was put last, unless it is too long ago."""
        found = self._newer.get(key)
        return self._older.get(key) if found is None else found

    def put(self, key: KeyT, value: ValueT) -> None:
        """Remember it, as the newest."""
        if len(self._newer) >= self._limit and key not in self._newer:
            self._older, self._newer = self._newer, {}
        self._newer[key] = value

    def clear(self) -> None:
        """Forget all."""
        self._newer, self._older = {}, {}


@dataclass(frozen=True, slots=True)
class _Held:
    delivery: Delivery
    until: float


_Sequence = tuple[UserId, str]


class Arrivals:
    """What arrived at one replica since its last assignment. `now` is monotonic seconds.

    Each method gives the deliveries that are to be passed on now, in order; they count as passed on from then.
    """

    def __init__(
        self, passed_limit: int = PASSED_LIMIT, places_limit: int = PLACES_LIMIT, held_limit: int = HELD_LIMIT
    ) -> None:
        self._passed: Recent[tuple[UserId, str], bool] = Recent(passed_limit)
        # Of each person in each sequence, the highest number passed on.
        self._highest: Recent[_Sequence, int] = Recent(places_limit)
        self._held: dict[_Sequence, dict[int, _Held]] = {}
        self._held_limit = held_limit
        self._held_count = 0

    @property
    def held(self) -> int:
        """Deliveries that wait for those before them."""
        return self._held_count

    def clear(self) -> None:
        """A new assignment: the devices are told to synchronise, and the log brings again what it has not brought."""
        self._passed.clear()
        self._highest.clear()
        self._held.clear()
        self._held_count = 0

    def is_passed(self, delivery: Delivery) -> bool:
        """Whether it was passed on, as far as is remembered."""
        return bool(delivery.delivery_id and self._passed.get((delivery.user_id, delivery.delivery_id)))

    def forget(self, delivery: Delivery) -> None:
        """It was not passed on after all."""
        if delivery.delivery_id:
            self._passed.put((delivery.user_id, delivery.delivery_id), False)

    def take_direct(self, delivery: Delivery, now: float) -> list[Delivery]:
        """One that came directly. Nothing when it was passed on before, or has to wait."""
        place = delivery.place
        if self.is_passed(delivery):
            return []
        if place is None:
            return [self._pass_on(delivery)]
        sequence = (delivery.user_id, place.sequence)
        if place.number in self._held.get(sequence, ()):
            return []
        if self._is_ahead(sequence, place) and self._held_count < self._held_limit:
            self._held.setdefault(sequence, {})[place.number] = _Held(delivery, now + HOLD_S)
            self._held_count += 1
            return []
        return [self._pass_on(delivery), *self._followers(sequence)]

    def take_logged(self, delivery: Delivery) -> list[Delivery]:
        """One that came by the log, which brought all before it. Nothing when it was passed on before."""
        if self.is_passed(delivery):
            return []
        place = delivery.place
        if place is None:
            return [self._pass_on(delivery)]
        sequence = (delivery.user_id, place.sequence)
        # The log has none between these and this one that it would still bring.
        before = self._release(sequence, place.number - 1)
        self._unhold(sequence, place.number)
        return [*before, self._pass_on(delivery), *self._followers(sequence)]

    def expire(self, now: float) -> list[Delivery]:
        """Those that have waited for long enough, with what waits before them."""
        released: list[Delivery] = []
        for sequence, held in list(self._held.items()):
            due = [number for number, one in held.items() if one.until <= now]
            if due:
                released += [*self._release(sequence, max(due)), *self._followers(sequence)]
        return released

    def next_expiry(self) -> float | None:
        """When `expire` has something to give; None while nothing waits."""
        return min((one.until for held in self._held.values() for one in held.values()), default=None)

    def _is_ahead(self, sequence: _Sequence, place: Place) -> bool:
        """Whether something that was not passed on yet comes before this place, as far as is known."""
        highest = self._highest.get(sequence)
        if highest is not None:
            return place.number > highest + 1
        # To a newcomer, the log first brings what makes the sequence known to devices.
        return place.newcomer or any(number < place.number for number in self._held.get(sequence, ()))

    def _pass_on(self, delivery: Delivery) -> Delivery:
        if delivery.delivery_id:
            self._passed.put((delivery.user_id, delivery.delivery_id), True)
        if delivery.place:
            self._note_place(delivery.user_id, delivery.place)
        return delivery

    def _note_place(self, user_id: UserId, place: Place) -> None:
        sequence = (user_id, place.sequence)
        self._highest.put(sequence, max(place.number, self._highest.get(sequence) or 0))

    def _release(self, sequence: _Sequence, last: int) -> list[Delivery]:
        """What waits in a sequence up to a number, in order."""
        numbers = sorted(number for number in self._held.get(sequence, ()) if number <= last)
        return [self._pass_on(self._held_at(sequence, number)) for number in numbers]

    def _followers(self, sequence: _Sequence) -> list[Delivery]:
        """What waited for what was passed on just now."""
        following: list[Delivery] = []
        while sequence in self._held:
            number = (self._highest.get(sequence) or 0) + 1
            if number not in self._held[sequence]:
                break
            following.append(self._pass_on(self._held_at(sequence, number)))
        return following

    def _unhold(self, sequence: _Sequence, number: int) -> None:
        if number in self._held.get(sequence, ()):
            self._held_at(sequence, number)

    def _held_at(self, sequence: _Sequence, number: int) -> Delivery:
        held = self._held[sequence]
        delivery = held.pop(number).delivery
        self._held_count -= 1
        if not held:
            del self._held[sequence]
        return delivery
