"""Histories of a town whose services keep every promise, made from a seed, for the checker to be tried on."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.faults.checker.history import (
    Action,
    Arrival,
    CallView,
    Fault,
    Heard,
    History,
    Hook,
    Notice,
    Operation,
    Outcome,
    Shown,
    Sleeper,
    View,
)

PEOPLE = ("alice", "bob", "carol", "dave")
DIRECT, GROUP = "direct", "group"
DEVICES = ("phone", "laptop")
# Whom notices are sent.
ASLEEP = Sleeper("alice", "alice-asleep", 0.0)
# A worker that dies cuts a call for some seconds; nothing else does.
FAULTS = (Fault("kill", "sfu-0", 100.0, 104.0), Fault("lose the control plane", "messaging-0", 300.0, 330.0))
HEARD = tuple(
    Heard(person, "long call", (*range(100), *range(112, 400)), (111.5,), 400.0) for person in ("alice", "bob")
)


class Town:
    """Four people, a direct conversation and a group; `random` draws what they do and which answers are lost."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._now_s = 0.0
        self._operations: list[Operation] = []
        self._arrivals: list[Arrival] = []
        self._calls: list[CallView] = []
        self.members = {DIRECT: ["alice", "bob"], GROUP: list(PEOPLE)}
        self._messages: dict[str, list[Shown]] = {DIRECT: [], GROUP: []}
        # Where each person's copy ends who has left: nobody comes back here.
        self._read: dict[tuple[str, str], int] = {}
        self._reactions: dict[tuple[str, int], list[str]] = {}
        self._hooks: list[Hook] = []
        self._notices: list[Notice] = []
        # By conversation, what was noticed by the sleeping device and not read.
        self._noticed: dict[str, list[int]] = {DIRECT: [], GROUP: []}
        self._blocked = False
        self._deleted: set[str] = set()

    def live(self, steps: int) -> None:
        """So many things happen, one after the other."""
        acts = (
            *(self._send,) * 8,
            *(self._read_up,) * 3,
            *(self._react,) * 2,
            *(self._ask_all, self._vote, self._vote),
            *(self._edit, self._unsend, self._block, self._remove, self._call, self._delete),
        )
        for _ in range(steps):
            self._random.choice(acts)()

    def history(self, seed: str) -> History:
        """All that was done, and what every device shows in the end."""
        views = [
            self._view(person, conversation, device)
            for conversation, members in self.members.items()
            for person in members
            for device in (*DEVICES, "fresh")
        ]
        return History(
            seed,
            operations=tuple(self._operations),
            views=tuple(views),
            arrivals=tuple(self._arrivals),
            calls=tuple(self._calls),
            faults=FAULTS,
            heard=HEARD,
            hooks=tuple(self._hooks),
            sleepers=(ASLEEP,),
            notices=tuple(self._notices),
            directs={DIRECT: ("alice", "bob")},
        )

    def _view(self, person: str, conversation: str, device: str) -> View:
        messages = tuple(self._messages[conversation])
        read = self._read.get((conversation, person), 0)
        return View(
            person,
            f"{person}-{device}",
            conversation,
            is_fresh=device == "fresh",
            messages=messages,
            members=tuple(self.members[conversation]),
            own_read_seq=read,
            unread=sum(m.seq > read and m.sender != person and m.kind in ("text", "poll", "call") for m in messages),
            read_by={other: self._read.get((conversation, other), 0) for other in self.members[conversation]},
        )

    def _ask(self, person: str, action: Action, conversation: str, *, refused: bool = False, **values: object) -> bool:
        """Records the operation; whether it was done. Half of what gets no answer was."""
        began_s = self._now_s
        self._now_s += self._random.uniform(0.01, 0.5)
        answer = self._random.choices((Outcome.OK, Outcome.UNKNOWN), (9, 1))[0]
        is_done = not refused and (answer is Outcome.OK or self._random.random() < 0.5)
        outcome = Outcome.FAILED if refused and answer is Outcome.OK else answer
        operation = Operation(
            len(self._operations),
            person,
            f"{person}-{self._random.choice(DEVICES)}",
            action,
            conversation,
            began_s=began_s,
            ended_s=self._now_s,
            outcome=outcome,
            status=""
            if outcome is Outcome.OK
            else "UNAVAILABLE"
            if outcome is Outcome.UNKNOWN
            else "PERMISSION_DENIED",
        )
        changes = dict(values) if outcome is Outcome.OK else {k: v for k, v in values.items() if k != "answered_seq"}
        if "answered_seq" in changes:
            changes["seq"] = changes.pop("answered_seq")
        self._operations.append(replace(operation, **changes))  # type: ignore[arg-type]
        return is_done

    def _ask_all(self) -> None:
        self._send("poll")

    def _send(self, kind: str = "text") -> None:
        person = self._random.choice(PEOPLE)
        conversation = self._random.choice((DIRECT, GROUP))
        refused = self._may_not_write(person, conversation)
        number = len(self._operations)
        seq = len(self._messages[conversation]) + 1
        said: dict[str, Any] = {"subject": f"m{number}", "text": f"text {number}"}
        done = self._ask(person, Action.SEND, conversation, refused=refused, answered_seq=seq, **said)
        if done:
            self._store(
                conversation, Shown(seq, person, f"m{number}", kind, f"text {number}" if kind == "text" else "")
            )
        if not refused and self._random.random() < 0.1 and done:
            # The same message again, by an app that was restarted.
            self._ask(person, Action.SEND, conversation, answered_seq=seq, **said)

    def _store(self, conversation: str, message: Shown) -> None:
        self._messages[conversation].append(message)
        self._tell("message.sent", conversation, message.seq, sender=message.sender, subject=message.client_message_id)
        if (
            message.kind in ("text", "poll")
            and message.sender != ASLEEP.person
            and not (self._blocked and message.sender == "bob")
        ):
            self._noticed[conversation].append(message.seq)
            self._notice(conversation, "message", message)
        for person in self.members[conversation]:
            if self._random.random() < 0.8:
                arrival = Arrival(person, f"{person}-phone", conversation, message.seq, self._now_s + 0.005)
                self._arrivals.append(arrival)

    def _may_not_write(self, person: str, conversation: str) -> bool:
        is_blocked = conversation == DIRECT and self._blocked
        return person not in self.members[conversation] or is_blocked or person in self._deleted

    def _own(self, kind: str = "text") -> tuple[str, Shown] | None:
        found = [(key, m) for key, messages in self._messages.items() for m in messages if m.kind == kind]
        found = [(key, m) for key, m in found if m.sender in self.members[key] and m.sender not in self._deleted]
        return self._random.choice(found) if found else None

    def _edit(self) -> None:
        if own := self._own():
            conversation, message = own
            text = f"edit {len(self._operations)}"
            if self._ask(message.sender, Action.EDIT, conversation, text=text, seq=message.seq):
                self._change(conversation, replace(message, text=text))

    def _unsend(self) -> None:
        if own := self._own():
            conversation, message = own
            if self._ask(message.sender, Action.UNSEND, conversation, seq=message.seq):
                self._change(conversation, replace(message, kind="unsent", text="", reactions=()))
                self._forget(conversation, [message.seq])

    def _read_up(self) -> None:
        person = self._random.choice(PEOPLE)
        conversation = self._random.choice((DIRECT, GROUP))
        if person in self._deleted or person not in self.members[conversation] or not self._messages[conversation]:
            return
        seq = self._random.randint(1, len(self._messages[conversation]))
        moved = max(seq, self._read.get((conversation, person), 0))
        if self._ask(person, Action.READ, conversation, asked_seq=seq, answered_seq=moved):
            self._read[conversation, person] = moved
            if person == ASLEEP.person:
                self._forget(conversation, [seq for seq in self._noticed[conversation] if seq <= moved])

    def _react(self) -> None:
        person, own = self._random.choice(PEOPLE), self._own()
        if own is None or person in self._deleted or person not in self.members[own[0]]:
            return
        conversation, message = own
        action = self._random.choice((Action.REACT, Action.REACT, Action.TAKE_REACTION))
        if self._ask(person, action, conversation, seq=message.seq, subject="!"):
            others = tuple(reaction for reaction in message.reactions if reaction != f"! {person}")
            reactions = (*others, f"! {person}") if action is Action.REACT else others
            self._change(conversation, replace(message, reactions=reactions))

    def _vote(self) -> None:
        person, found = self._random.choice(PEOPLE), self._own("poll")
        if found is None or person in self._deleted or person not in self.members[found[0]]:
            return
        conversation, poll = found
        chosen = [option for option in "012" if self._random.random() < 0.5]
        if self._ask(person, Action.VOTE, conversation, seq=poll.seq, subject=" ".join(chosen)):
            others = [vote for vote in poll.votes if not vote.endswith(f" {person}")]
            votes = sorted([*others, *(f"{option} {person}" for option in chosen)])
            self._change(conversation, replace(poll, votes=tuple(votes)))

    def _change(self, conversation: str, message: Shown) -> None:
        self._messages[conversation][message.seq - 1] = message
        self._tell("message.changed", conversation, message.seq, revision=len(self._hooks))

    def _tell(self, kind: str, about: str, place: int = 0, **values: Any) -> None:
        """The network is told; now and then once more, which may come late."""
        self._hooks.append(Hook(f"hook{len(self._hooks)}", kind, about, place, at_s=self._now_s, **values))
        if self._random.random() < 0.1:
            self._hooks.append(replace(self._random.choice(self._hooks[-5:]), at_s=self._now_s))

    def _forget(self, conversation: str, seqs: list[int]) -> None:
        """What was noticed is read or gone: the newest that is left stands, without a word."""
        before = self._noticed[conversation]
        left = self._noticed[conversation] = [seq for seq in before if seq not in seqs]
        if before and (not left or left[-1] != before[-1]):
            self._notice(conversation, "message" if left else "", Shown(left[-1] if left else 0, "", "", "text"))

    def _notice(self, conversation: str, kind: str, message: Shown) -> None:
        """The sleeping device is told; now and then once more, which may come late."""
        number = len(self._notices)
        thread = f"conversation:{conversation}"
        told = Notice(f"notice{number}", ASLEEP.person, ASLEEP.device, thread, number + 1, kind, message.seq)
        told = replace(told, sender=message.sender, text=message.text, at_s=self._now_s)
        self._notices.append(told)
        if self._random.random() < 0.1:
            self._notices.append(replace(self._random.choice(self._notices[-5:]), at_s=self._now_s))

    def _block(self) -> None:
        if "alice" in self._deleted or "bob" in self._deleted:
            return
        action = Action.UNBLOCK if self._blocked else Action.BLOCK
        if self._ask("alice", action, "", subject="bob"):
            self._blocked = not self._blocked

    def _remove(self) -> None:
        group = self.members[GROUP]
        others = [person for person in group if person != "alice"]
        if len(others) > 1 and "alice" not in self._deleted:
            gone = self._random.choice(others)
            if self._ask("alice", Action.REMOVE_MEMBER, GROUP, subject=gone):
                group.remove(gone)

    def _call(self) -> None:
        if self._blocked or self._deleted & {"alice", "bob"}:
            return
        call_id = f"call{len(self._operations)}"
        if self._ask("alice", Action.START_CALL, DIRECT, subject=call_id):
            self._ask("bob", Action.ACCEPT_CALL, DIRECT, subject=call_id)
            self._ask("bob", Action.ACCEPT_CALL, DIRECT, refused=True, subject=call_id)
            self._calls += [CallView(person, call_id, DIRECT, "HUNG_UP") for person in ("alice", "bob")]
            for version, kind in enumerate(("call.ringing", "call.active", "call.ended"), 1):
                self._tell(kind, call_id, version)
            self._store(DIRECT, Shown(len(self._messages[DIRECT]) + 1, "alice", "", "call", call_id=call_id))

    def _delete(self) -> None:
        if self._random.random() < 0.9 or "dave" in self._deleted:
            return
        if self._ask("dave", Action.DELETE_ACCOUNT, ""):
            self._deleted.add("dave")
            self._tell("account.changed", "dave")
            if "dave" in self.members[GROUP]:
                self.members[GROUP].remove("dave")
            self._forget(GROUP, [message.seq for message in self._messages[GROUP] if message.sender == "dave"])
            self._messages[GROUP] = [
                replace(m, kind="expired", text="") if m.sender == "dave" else m for m in self._messages[GROUP]
            ]


def lived(seed: int, steps: int = 180) -> History:
    """The history of one town."""
    town = Town(Random(seed))
    town.live(steps)
    return town.history(str(seed))
