"""What one person does in one session, and when the next one is: drawn from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from loadtests.evening.habits import HABITS, Habits
from loadtests.evening.laws import Lognormal
from loadtests.evening.schedule import Action, Kind
from loadtests.evening.town import Town

# As the clients do: repeated while one types.
TYPING_EVERY_S = 4.0


@dataclass
class People:
    """Draws what the people of a town do. `pace`: how many times as often sessions and calls come as the table says."""

    town: Town
    chance: random.Random
    pace: float = 1.0
    habits: Habits = HABITS

    def first_sessions(self, begin_s: float, spread_s: float) -> list[Action]:
        """When each person comes for the first time: as many at once as at any later time, spread over a while."""
        gap_s = self.habits.session_gap.law.mean / self.pace
        present = self.habits.session.law.mean / (self.habits.session.law.mean + gap_s)
        actions = []
        for person in range(self.town.people):
            is_there = self.chance.random() < present
            wait_s = self.chance.random() * spread_s if is_there else self.session_gap_s()
            actions.append(Action(begin_s + wait_s, Kind.OPEN, person))
        return actions

    def first_calls(self, begin_s: float, spread_s: float) -> list[Action]:
        """The calls that run at any time, with what is left of them, and the first one that each person places."""
        law = self.habits.call.law
        gap_s = self.habits.call_gap.law.mean / self.pace
        under_way = self.town.people * law.mean / gap_s * self.habits.call_answered.law.mean
        actions = []
        for _ in range(_poisson(under_way, self.chance)):
            person = self.chance.randrange(self.town.people)
            left_s = law.draw_left(self.chance) if isinstance(law, Lognormal) else law.draw(self.chance)
            actions.append(self._call(begin_s + self.chance.random() * spread_s, person, left_s))
        actions += [self.next_call(begin_s, person) for person in range(self.town.people)]
        return actions

    def session_gap_s(self) -> float:
        """From the end of a session to the next one."""
        return self.habits.session_gap.law.draw(self.chance) / self.pace

    def next_call(self, now_s: float, person: int) -> Action:
        """The next call that the person places."""
        due_s = now_s + self.habits.call_gap.law.draw(self.chance) / self.pace
        return self._call(due_s, person, self.habits.call.law.draw(self.chance))

    def session(self, begin_s: float, person: int) -> list[Action]:
        """All that the person does of their own accord in a session that begins now, its end too."""
        end_s = begin_s + self.habits.session.law.draw(self.chance)
        actions = [action for action in self._doings(begin_s, person) if action.due_s < end_s]
        return [*actions, Action(end_s, Kind.CLOSE, person)]

    def reply(self, now_s: float, person: int, place: int, read_characters: int) -> list[Action]:
        """The answer to a text that has just come: read, typed and sent; nothing when it is not answered at once."""
        if not self.habits.reply.law.draw(self.chance):
            return []
        begin_s = now_s + self.reading_s(read_characters) + self.habits.think.law.draw(self.chance)
        return list(self._write(begin_s, person, place))

    def reading_s(self, characters: int) -> float:
        """How long a text is read."""
        return characters / self.habits.reading_rate.law.mean

    def has_two_devices(self) -> bool:
        """Whether a session is on two devices."""
        return bool(self.habits.second_device.law.draw(self.chance))

    def reacts(self) -> bool:
        """Whether somebody reacts to a message."""
        return bool(self.habits.reaction.law.draw(self.chance))

    def answers(self) -> str:
        """What becomes of a ring: accept, decline, or miss."""
        if self.habits.call_answered.law.draw(self.chance):
            return "accept"
        return self.chance.choice(("decline", "miss"))

    def answer_delay_s(self) -> float:
        """From the ring to the answer."""
        return self.habits.answer_delay.law.draw(self.chance)

    def _doings(self, begin_s: float, person: int) -> Iterator[Action]:
        habits, chance = self.habits, self.chance
        if habits.search.law.draw(chance):
            yield Action(begin_s + habits.think.law.draw(chance), Kind.SEARCH, person)
        if not habits.writes.law.draw(chance):
            return
        at_s = begin_s
        for _ in range(int(habits.bursts.law.draw(chance))):
            place = self.town.choose(person, chance, habits)
            if place < 0:
                return
            for _ in range(int(habits.burst.law.draw(chance))):
                written = list(self._write(at_s + habits.think.law.draw(chance), person, place))
                yield from written
                at_s = written[-1].due_s

    def _write(self, begin_s: float, person: int, place: int) -> Iterator[Action]:
        """One message: typing, told each few seconds, then the send."""
        characters = max(1, round(self.habits.text.law.draw(self.chance)))
        typing_s = characters / self.habits.typing_rate.law.mean
        at_s = 0.0
        while at_s < typing_s:
            yield Action(begin_s + at_s, Kind.TYPE, person, place)
            at_s += TYPING_EVERY_S
        has_file = self.habits.file.law.draw(self.chance)
        size = max(1, round(self.habits.file_size.law.draw(self.chance))) if has_file else 0
        yield Action(begin_s + typing_s, Kind.SEND, person, place, characters=characters, file_bytes=size)

    def _call(self, due_s: float, person: int, length_s: float) -> Action:
        is_group = bool(self.habits.group_call.law.draw(self.chance))
        place = self.town.choose(person, self.chance, self.habits, is_group=is_group)
        if place < 0:
            place = self.town.choose(person, self.chance, self.habits)
        video = bool(self.habits.video.law.draw(self.chance))
        return Action(due_s, Kind.CALL, person, place, call_s=length_s, video=video)


def _poisson(mean: float, chance: random.Random) -> int:
    """How many come in a time in which `mean` come on the average."""
    number, at = 0, chance.expovariate(1)
    while at < mean:
        number += 1
        at += chance.expovariate(1)
    return number
