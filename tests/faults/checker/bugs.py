"""Services with one bug each: the checker must find every one of them, or its silence says nothing.

`python -m tests.faults.checker.bugs` runs the service of the bug that PARLEY_SEEDED_BUG names, with the bug in it;
`run.py --bug NAME` starts a stack with it. A bug changes what is called in the service's own process. `promise` names
what it breaks.
"""

from __future__ import annotations

import asyncio
import os
import runpy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

VARIABLE = "PARLEY_SEEDED_BUG"


@dataclass(frozen=True)
class Bug:
    """`seed` puts it into the process that runs `service`."""

    service: str
    promises: tuple[str, ...]
    seed: Callable[[], None]


def _each(nth: int) -> Callable[[], bool]:
    """True each nth time."""
    numbers: Iterator[int] = count(1)
    return lambda: next(numbers) % nth == 0


def acknowledge_before_commit() -> None:
    """A send is answered, and its transaction is rolled back."""
    from services.messaging.messages.core.sequencing import sequence_drafts
    from services.messaging.messages.sql.store import PostgresMessages

    honest, now = PostgresMessages.append, _each(20)

    async def append(self: Any, drafts: Sequence[Any]) -> Sequence[Any]:
        certain = self._known.certain(drafts)
        if len(certain) == len(drafts) and now():
            return sequence_drafts(certain, self._known.states_of(certain), {}).outcomes
        return await honest(self, drafts)

    PostgresMessages.append = append  # type: ignore[method-assign]


def skip_a_number() -> None:
    """Two sends at once take two numbers, and one of them is given back."""
    from services.messaging.messages.sql import store

    honest, now = store.sequence_drafts, _each(20)

    def sequence_drafts(drafts: Sequence[Any], states: Any, *more: Any) -> Any:
        if now():
            states = replace(states, last_seqs={key: seq + 1 for key, seq in states.last_seqs.items()})
        return honest(drafts, states, *more)

    store.sequence_drafts = sequence_drafts  # type: ignore[assignment]


def relay_forgets() -> None:
    """Rows leave the outbox that the broker never got."""
    from services.runtime.postgres.outbox import OutboxRelay

    honest, now = OutboxRelay._publish, _each(3)

    async def publish(self: Any, records: Sequence[Any]) -> None:
        await honest(self, [record for record in records if not now()])

    OutboxRelay._publish = publish  # type: ignore[method-assign]


def relay_reorders() -> None:
    """A batch of the outbox is published from its end."""
    from services.runtime.postgres.outbox import OutboxRelay

    honest = OutboxRelay._publish

    async def publish(self: Any, records: Sequence[Any]) -> None:
        await asyncio.sleep(0.3)
        await honest(self, list(reversed(records)))

    OutboxRelay._publish = publish  # type: ignore[method-assign]


def fan_out_commits_early() -> None:
    """Records count as handled before their deliveries are with the broker; some never get there."""
    from services.messaging.conversations.consumer import FanOut

    honest, now = FanOut.handle, _each(3)

    async def handle(self: Any, records: Sequence[Any]) -> None:
        if not now():
            await honest(self, records)

    FanOut.handle = handle  # type: ignore[method-assign]


def stale_state_cache() -> None:
    """What a replica remembers of a conversation is believed, whatever another one has changed since."""
    from services.messaging.messages.sql import store

    honest = store.insert_messages

    async def insert_messages(
        connection: Any, messages: Any, events: Any = (), facts: Any = None, traces: Any = ()
    ) -> Any:
        ids = list(facts or {})
        rows = await connection.fetch(
            "SELECT id, facts, last_seq FROM conversations WHERE id = ANY($1) FOR UPDATE", ids
        )
        return await honest(connection, messages, events, {row["id"]: row["facts"] for row in rows}, traces)

    store.insert_messages = insert_messages


def block_seen_late() -> None:
    """A block is answered before it holds."""
    from services.messaging.relations.sql.store import PostgresRelations

    honest = PostgresRelations.block
    late: set[asyncio.Task[None]] = set()

    async def block(self: Any, *about: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(1.5)
            await honest(self, *about)

        late.add(asyncio.create_task(later()))

    PostgresRelations.block = block  # type: ignore[method-assign]


def removal_seen_late() -> None:
    """The fan-out goes by the members of some seconds ago."""
    from services.messaging.conversations.sql.store import PostgresConversations

    honest = PostgresConversations.recipients_of
    known: dict[Any, tuple[float, Any]] = {}

    async def recipients_of(self: Any, ids: Collection[Any]) -> Mapping[Any, Any]:
        now_s = asyncio.get_running_loop().time()
        stale = [id_ for id_ in ids if known.get(id_, (0.0, ()))[0] < now_s - 5.0]
        for id_, members in (await honest(self, stale)).items() if stale else ():
            known[id_] = (now_s, members)
        return {id_: known[id_][1] for id_ in ids if id_ in known}

    PostgresConversations.recipients_of = recipients_of  # type: ignore[method-assign]


def deleted_account_speaks() -> None:
    """Nobody asks whether an account is deleted."""
    from services.messaging.accounts.service.accounts import Gate

    async def require_open(self: Any, user_id: Any) -> None:
        return None

    Gate.require_open = require_open  # type: ignore[method-assign]


def cursor_goes_back() -> None:
    """A late MarkRead counts for more than an earlier one of a higher seq."""
    from services.messaging.receipts import sql

    sql._LOCK = sql._LOCK.replace("greatest(m.read_seq, m.own_read_seq) AS read_seq", "0::bigint AS read_seq")


def unread_counts_own() -> None:
    """What one wrote oneself counts as unread."""
    from services.messaging.conversations.sql import own_states

    own_states._OWN_STATES = own_states._OWN_STATES.replace("x.sender_id <> m.user_id AND ", "")


def edit_lost() -> None:
    """A change is answered that was never written."""
    from services.messaging.messages.sql import store

    honest, now = store.write_change, _each(3)

    async def write_change(connection: Any, change: Any) -> None:
        if not now():
            await honest(connection, change)

    store.write_change = write_change


def refused_and_stored() -> None:
    """A send is stored, and then refused."""
    from services.messaging.kernel.errors import NotAllowed
    from services.messaging.messages.service.messages import Messages

    honest, now = Messages.send_text, _each(30)

    async def send_text(self: Any, *about: Any) -> Any:
        message = await honest(self, *about)
        if now():
            raise NotAllowed
        return message

    Messages.send_text = send_text  # type: ignore[method-assign]


def handler_raises() -> None:
    """Something that nobody thought of raises out of a use-case."""
    from services.messaging.messages.service.messages import Messages

    honest, now = Messages.send_text, _each(30)

    async def send_text(self: Any, *about: Any) -> Any:
        if now():
            raise KeyError("nobody thought of it")
        return await honest(self, *about)

    Messages.send_text = send_text  # type: ignore[method-assign]


def two_accepts() -> None:
    """A second device of one person takes a call that the first one has."""
    from services.signaling.core import table

    cases = tuple(case for case in table.ACCEPT.cases if case[1] is not table._ELSEWHERE)
    object.__setattr__(table.ACCEPT, "cases", cases)


def call_record_lost() -> None:
    """What became of a call is not told."""
    from services.messaging.messages.consumer import CallRecords

    async def handle(self: Any, records: Sequence[Any]) -> None:
        return None

    CallRecords.handle = handle  # type: ignore[method-assign]


def resync_lost() -> None:
    """A device whose route has moved is not told that it may have missed something."""
    from services.gateway import streams
    from services.gateway.core.registry import RouteMoved

    honest = streams.Streams.apply

    def apply(self: Any, effects: Any) -> None:
        honest(self, [effect for effect in effects if not isinstance(effect, RouteMoved)])

    streams.Streams.apply = apply  # type: ignore[method-assign]


BUGS: Mapping[str, Bug] = {
    "acknowledge before commit": Bug("messaging", ("acknowledged is stored",), acknowledge_before_commit),
    "skip a number": Bug("messaging", ("no gaps",), skip_a_number),
    "relay forgets": Bug("messaging", ("no gaps",), relay_forgets),
    "relay reorders": Bug("messaging", ("told in order",), relay_reorders),
    "fan-out commits early": Bug("messaging", ("no gaps",), fan_out_commits_early),
    "stale state cache": Bug("messaging", ("nothing after a block", "nothing after a removal"), stale_state_cache),
    "block seen late": Bug("messaging", ("nothing after a block",), block_seen_late),
    "removal seen late": Bug("messaging", ("nothing after a removal",), removal_seen_late),
    "deleted account speaks": Bug("messaging", ("deleted accounts are gone",), deleted_account_speaks),
    "cursor goes back": Bug("messaging", ("read cursors hold",), cursor_goes_back),
    "unread counts own": Bug("messaging", ("unread is counted",), unread_counts_own),
    "edit lost": Bug("messaging", ("changes hold",), edit_lost),
    "refused and stored": Bug("messaging", ("refused is not stored",), refused_and_stored),
    "handler raises": Bug("messaging", ("refusals are documented",), handler_raises),
    "two accepts": Bug("signaling", ("one device takes a call",), two_accepts),
    "call record lost": Bug("messaging", ("a call is recorded once",), call_record_lost),
    "resync lost": Bug("gateway", ("no gaps",), resync_lost),
}


def main() -> None:
    """Runs the service as it would run, but for the bug."""
    bug = BUGS[os.environ[VARIABLE]]
    bug.seed()
    runpy.run_module(f"services.{bug.service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
