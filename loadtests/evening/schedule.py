"""What is due when: a heap. Pure: the time is an argument.

Open loop: an action stands at the time at which a person would do it, however long what was before it takes.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any


class Kind(Enum):
    """What a person does."""

    OPEN = "open"
    CLOSE = "close"
    TYPE = "type"
    SEND = "send"
    READ = "read"
    REACT = "react"
    SEARCH = "search"
    FETCH = "fetch"
    CALL = "call"


@dataclass(frozen=True)
class Action:
    """Something that a person does at a time, in seconds. `place` is the index of a conversation of the town.

    `characters` of a text; `file_bytes` of a picture beside it; `seq` of the message that is read, reacted to or
    fetched from. `call_s`, `video`: of a call. `attachment_id`: what is fetched.
    """

    due_s: float
    kind: Kind
    person: int
    place: int = -1
    characters: int = 0
    file_bytes: int = 0
    seq: int = 0
    call_s: float = 0.0
    video: bool = False
    attachment_id: str = ""


@dataclass
class Schedule:
    """Actions by the time at which they are due; of two at one time, the one that was added first."""

    _heap: list[tuple[float, int, Action]] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)

    def add(self, *actions: Action) -> None:
        """More to do."""
        for action in actions:
            heapq.heappush(self._heap, (action.due_s, next(self._numbers), action))

    def take_due(self, now_s: float) -> list[Action]:
        """What is due by now, in order; it is taken out."""
        due = []
        while self._heap and self._heap[0][0] <= now_s:
            due.append(heapq.heappop(self._heap)[2])
        return due

    @property
    def next_due_s(self) -> float | None:
        """When there is something to do again; None when there is nothing at all."""
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)
