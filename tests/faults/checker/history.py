"""What happened in one run: what clients asked and were told, what was done to the stack, and what devices show then.

Pure. All times are seconds of one monotonic clock from the beginning of the run. A history is one JSON file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Self, TypeVar


class Action(StrEnum):
    """What a client asks of the public API."""

    SEND = "send"
    EDIT = "edit"
    UNSEND = "unsend"
    REACT = "react"
    TAKE_REACTION = "take reaction back"
    VOTE = "vote"
    READ = "read"
    BLOCK = "block"
    UNBLOCK = "unblock"
    ADD_MEMBER = "add member"
    REMOVE_MEMBER = "remove member"
    LEAVE = "leave"
    START_CALL = "start call"
    ACCEPT_CALL = "accept call"
    END_CALL = "end call"
    DELETE_ACCOUNT = "delete account"


class Outcome(StrEnum):
    """What the caller knows in the end."""

    OK = "ok"
    # Refused: it was not done and will not be.
    FAILED = "failed"
    # No answer, or one that says nothing of what was done: it may have been done, or be done yet.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Operation:
    """One request with all its retries.

    `subject`: a client_message_id, a user id, a call id, an emoji or the options that were chosen ("0 2"), whatever the
    action is about. `text`: what a message or an edit says, or a poll asks. `asked_seq`: of READ, up to where. `seq`:
    the message's, as it was answered; of READ, where the cursor stood then. `status`: of the last answer, the gRPC code
    and the reason.
    """

    number: int
    person: str
    device: str
    action: Action
    conversation: str = ""
    subject: str = ""
    text: str = ""
    asked_seq: int = 0
    began_s: float = 0.0
    ended_s: float = 0.0
    outcome: Outcome = Outcome.UNKNOWN
    seq: int = 0
    status: str = ""


@dataclass(frozen=True)
class Fault:
    """What the nemesis did, and from when to when it lasted."""

    name: str
    target: str
    began_s: float
    ended_s: float


@dataclass(frozen=True)
class Shown:
    """One message as a device shows it.

    `reactions`: each as emoji and user id, `votes`: each as the option's place and user id, in the order of the API.
    """

    seq: int
    sender: str
    client_message_id: str
    kind: str
    text: str = ""
    call_id: str = ""
    reactions: tuple[str, ...] = ()
    votes: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """One conversation as one device shows it when all is quiet again.

    `is_fresh`: the device has asked the services anew, so that this is what is stored. `first_seq`: what is below it
    is not on the device. `unread`: as the services count it; None where they were not asked. `read_by`: how far the
    others have read, by user id.
    """

    person: str
    device: str
    conversation: str
    is_fresh: bool
    first_seq: int = 1
    messages: tuple[Shown, ...] = ()
    members: tuple[str, ...] = ()
    own_read_seq: int = 0
    unread: int | None = None
    read_by: Mapping[str, int] = field(default_factory=dict)

    @property
    def last_seq(self) -> int:
        """Of its newest message; just below `first_seq` when there is none."""
        return self.messages[-1].seq if self.messages else self.first_seq - 1


@dataclass(frozen=True)
class Arrival:
    """The event stream brought a message to a device for the first time. `stream`: which run of its app."""

    person: str
    device: str
    conversation: str
    seq: int
    at_s: float
    stream: str = ""


@dataclass(frozen=True)
class Hook:
    """A webhook that the network's server has taken. They stand in the order in which they were taken.

    `about`: the conversation of a message, or a call, or a person, whatever has an order of its own. `place`: of a
    message its seq, of a call its version. `sender` and `subject`: of a message, its client_message_id the latter.
    """

    webhook_id: str
    type: str
    about: str
    place: int = 0
    revision: int = 0
    sender: str = ""
    subject: str = ""
    at_s: float = 0.0


@dataclass(frozen=True)
class Sleeper:
    """A device without a stream, which is told by notices from `since_s` on."""

    person: str
    device: str
    since_s: float


@dataclass(frozen=True)
class Notice:
    """What a sleeping device was sent. They stand in the order in which they were taken.

    `thread`: the conversation or ringing call of which the newest version counts. `kind`: empty where nothing of it is
    to be shown any more. `seq`: of the message that it is about; `sender` and `text`: who wrote that, and what.
    """

    webhook_id: str
    person: str
    device: str
    thread: str
    version: int
    kind: str = ""
    seq: int = 0
    sender: str = ""
    text: str = ""
    at_s: float = 0.0


PostedT = TypeVar("PostedT", Hook, Notice)


def without_repetitions(posted: Iterable[PostedT]) -> Iterator[PostedT]:
    """Each of what was posted as it was taken for the first time."""
    seen: set[str] = set()
    for one in posted:
        if one.webhook_id not in seen:
            seen.add(one.webhook_id)
            yield one


@dataclass(frozen=True)
class CallView:
    """A call as one person is told of it when all is quiet. `end`: the reason of its end; empty while it runs."""

    person: str
    call_id: str
    conversation: str
    end: str


@dataclass(frozen=True)
class Heard:
    """One side of a call with media: when the other side was heard, from its first sound on, a few times a second.

    `reconnected_s`: when the device had to connect anew. `until_s`: when nobody listened any more. `has_ended`: because
    the call had ended, and not because the run had.
    """

    person: str
    call_id: str
    at_s: tuple[float, ...]
    reconnected_s: tuple[float, ...]
    until_s: float
    has_ended: bool = False


# What a broker that keeps nothing is started anew by.
_FORGETS_BY = ("kill", "restart")


@dataclass(frozen=True)
class History:
    """One run. `directs`: the two people of each direct conversation. `vanishing`: the conversations in which all
    vanishes that is said above a seq, long before the end.

    `disbelieved`, `disbelieved_notices`: ids of those whose signature was wrong. `broker_forgets`: it has nothing any
    more when it is started anew.
    """

    seed: str
    operations: tuple[Operation, ...] = ()
    faults: tuple[Fault, ...] = ()
    views: tuple[View, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    calls: tuple[CallView, ...] = ()
    heard: tuple[Heard, ...] = ()
    hooks: tuple[Hook, ...] = ()
    disbelieved: tuple[str, ...] = ()
    sleepers: tuple[Sleeper, ...] = ()
    notices: tuple[Notice, ...] = ()
    disbelieved_notices: tuple[str, ...] = ()
    broker_forgets: bool = False
    directs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    vanishing: Mapping[str, int] = field(default_factory=dict)

    def of(self, *actions: Action, outcome: Outcome | None = None) -> Iterator[Operation]:
        """The operations of these kinds, in the order in which they began."""
        for operation in self.operations:
            if operation.action in actions and outcome in (None, operation.outcome):
                yield operation

    def lasting(self, action: Action) -> Iterator[Operation]:
        """What was acknowledged, and asked after the broker last lost its data: what hangs on the broker alone may be
        lost of all before."""
        lost_s = self.last_loss_s
        for operation in self.of(action, outcome=Outcome.OK):
            if lost_s is None or operation.began_s > lost_s:
                yield operation

    def fresh(self, conversation: str | None = None) -> Iterator[View]:
        """What is stored, as each person may see it."""
        for view in self.views:
            if view.is_fresh and conversation in (None, view.conversation):
                yield view

    @property
    def last_loss_s(self) -> float | None:
        """When the broker was there again that had lost its data; None where it never had."""
        losses = (
            fault.ended_s
            for fault in self.faults
            if fault.name == "lose the data"
            or (self.broker_forgets and fault.target == "broker" and fault.name in _FORGETS_BY)
        )
        return max(losses, default=None)

    def with_operations(self, operations: Iterable[Operation]) -> Self:
        """The same run as if no more had been asked than this."""
        return replace(self, operations=tuple(operations))

    def dumps(self) -> str:
        """The history as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def loads(cls, text: str) -> Self:
        """The history of `dumps`. Raises ValueError, KeyError or TypeError for anything else."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            seed=data["seed"],
            operations=tuple(
                Operation(**{**entry, "action": Action(entry["action"]), "outcome": Outcome(entry["outcome"])})
                for entry in data["operations"]
            ),
            faults=tuple(Fault(**entry) for entry in data["faults"]),
            views=tuple(
                View(
                    **{
                        **entry,
                        "messages": tuple(
                            Shown(
                                **{
                                    **shown,
                                    "reactions": tuple(shown["reactions"]),
                                    "votes": tuple(shown.get("votes", ())),
                                }
                            )
                            for shown in entry["messages"]
                        ),
                        "members": tuple(entry["members"]),
                    }
                )
                for entry in data["views"]
            ),
            arrivals=tuple(Arrival(**entry) for entry in data["arrivals"]),
            calls=tuple(CallView(**entry) for entry in data["calls"]),
            heard=tuple(
                Heard(**{**entry, "at_s": tuple(entry["at_s"]), "reconnected_s": tuple(entry["reconnected_s"])})
                for entry in data["heard"]
            ),
            hooks=tuple(Hook(**entry) for entry in data["hooks"]),
            disbelieved=tuple(data["disbelieved"]),
            sleepers=tuple(Sleeper(**entry) for entry in data["sleepers"]),
            notices=tuple(Notice(**entry) for entry in data["notices"]),
            disbelieved_notices=tuple(data["disbelieved_notices"]),
            broker_forgets=data["broker_forgets"],
            directs={key: (first, second) for key, (first, second) in data["directs"].items()},
            vanishing=data["vanishing"],
        )
