"""Who knows whom: people, their direct conversations, and groups by a long-tailed size. Pure, drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import accumulate

from loadtests.evening.habits import Habits


@dataclass(frozen=True)
class Place:
    """A conversation: the people in it, by their numbers. The first made it."""

    members: tuple[int, ...]
    is_group: bool


@dataclass(frozen=True)
class Town:
    """Numbered people and places; `places_of` has those of each person, the favourite first."""

    people: int
    places: tuple[Place, ...]
    places_of: tuple[tuple[int, ...], ...]
    _weights: dict[int, list[float]] = field(default_factory=dict)

    def choose(self, person: int, chance: random.Random, habits: Habits, *, is_group: bool | None = None) -> int:
        """A place of the person by how much it is liked; -1 when there is none (of the wished kind)."""
        places = [
            place for place in self.places_of[person] if is_group is None or self.places[place].is_group == is_group
        ]
        if not places:
            return -1
        exponent = getattr(habits.choice.law, "exponent", 1.0)
        weights = self._weights.get(len(places))
        if weights is None:
            weights = self._weights[len(places)] = list(
                accumulate((rank + 1) ** -exponent for rank in range(len(places)))
            )
        return chance.choices(places, cum_weights=weights)[0]

    def contacts(self, person: int) -> list[int]:
        """The others of the person's direct conversations."""
        direct = (self.places[place] for place in self.places_of[person] if not self.places[place].is_group)
        return [member for place in direct for member in place.members if member != person]


def draw_town(people: int, chance: random.Random, habits: Habits) -> Town:
    """A town of at least two people."""
    pairs = _draw_pairs(people, chance, habits)
    places = [Place(pair, is_group=False) for pair in sorted(pairs)]
    for _ in range(round(people * habits.groups_per_person.law.mean)):
        size = min(int(habits.group_size.law.draw(chance)), people)
        places.append(Place(tuple(chance.sample(range(people), size)), is_group=True))
    of: list[list[int]] = [[] for _ in range(people)]
    for number, place in enumerate(places):
        for member in place.members:
            of[member].append(number)
    for own in of:
        chance.shuffle(own)
    return Town(people, tuple(places), tuple(tuple(own) for own in of))


def _draw_pairs(people: int, chance: random.Random, habits: Habits) -> set[tuple[int, int]]:
    """As many friends as each wants, as far as the others want one: whoever is full is not asked."""
    wanted = [max(1, min(round(habits.contacts.law.draw(chance)), people - 1)) for _ in range(people)]
    pairs: set[tuple[int, int]] = set()
    left = list(wanted)
    # Everybody has at least one, whatever the others want.
    ring = list(range(people))
    chance.shuffle(ring)
    for one, other in zip(ring, ring[1:] + ring[:1], strict=True):
        _join(one, other, pairs, left)
    open_to_more = [person for person in range(people) for _ in range(max(0, left[person]))]
    chance.shuffle(open_to_more)
    for one, other in zip(open_to_more[::2], open_to_more[1::2], strict=False):
        _join(one, other, pairs, left)
    return pairs


def _join(one: int, other: int, pairs: set[tuple[int, int]], left: list[int]) -> None:
    pair = (min(one, other), max(one, other))
    if one != other and pair not in pairs:
        pairs.add(pair)
        left[one] -= 1
        left[other] -= 1
