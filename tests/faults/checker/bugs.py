"""Services with one bug each: the checker must find every one of them, or its silence says nothing.

`prove.py` tries them one after the other. A bug changes what is called in the service's own process (`hosted.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count
from typing import Any


@dataclass(frozen=True)
class Bug:
    """`seed` puts it into the process that runs `service`; it breaks one of `promises`.

    `faults`: it shows only when these are done to `targets`, or else to `service`.
    """

    service: str
    promises: tuple[str, ...]
    seed: Callable[[], None]
    faults: tuple[str, ...] = ()
    targets: str = ""


def of(module: str) -> Any:
    """A module of a service, to be changed."""
    return import_module(module)


def _each(nth: int) -> Callable[[], bool]:
    """True each nth time."""
    numbers: Iterator[int] = count(1)
    return lambda: next(numbers) % nth == 0


def acknowledge_before_commit() -> None:
    """A send is answered, and its transaction is rolled back."""
    sequence_drafts = of("services.messaging.messages.core.sequencing").sequence_drafts
    stores = of("services.messaging.messages.sql.store").PostgresMessages

    honest, now = stores.append, _each(20)

    async def append(self: Any, drafts: Sequence[Any]) -> Any:
        sendable = self._known.sendable(drafts)
        if len(sendable) == len(drafts) and now():
            return sequence_drafts(sendable, self._known.states_of(sendable), {}).outcomes
        return await honest(self, drafts)

    stores.append = append


def skip_a_number() -> None:
    """Two sends at once take two numbers, and one of them is given back."""
    store = of("services.messaging.messages.sql.store")

    honest, now = store.sequence_drafts, _each(20)

    def sequence_drafts(drafts: Sequence[Any], states: Any, *more: Any) -> Any:
        if now():
            states = replace(states, last_seqs={key: seq + 1 for key, seq in states.last_seqs.items()})
        return honest(drafts, states, *more)

    store.sequence_drafts = sequence_drafts


def relay_forgets() -> None:
    """Rows leave the outbox that the broker never got."""
    relay = of("services.runtime.postgres.outbox").OutboxRelay

    honest, now = relay._publish, _each(3)

    async def publish(self: Any, records: Sequence[Any]) -> None:
        await honest(self, [record for record in records if not now()])

    relay._publish = publish


def fan_out_commits_early() -> None:
    """Records count as handled before their deliveries are with the broker; some never get there."""
    fan_out = of("services.messaging.conversations.consumer").FanOut

    honest, now = fan_out.handle, _each(3)

    async def handle(self: Any, records: Sequence[Any]) -> None:
        if not now():
            await honest(self, records)

    fan_out.handle = handle


def stale_state_cache() -> None:
    """What a replica remembers of a conversation is believed, whatever another one has changed since."""
    store = of("services.messaging.messages.sql.store")

    honest = store.insert_messages

    async def insert_messages(
        connection: Any, messages: Any, events: Any = (), versions: Any = None, traces: Any = ()
    ) -> Any:
        ids = list(versions or {})
        rows = await connection.fetch(
            "SELECT id, facts, last_seq FROM conversations WHERE id = ANY($1) FOR UPDATE", ids
        )
        return await honest(connection, messages, events, {row["id"]: row["facts"] for row in rows}, traces)

    store.insert_messages = insert_messages


def block_seen_late() -> None:
    """A block is answered before it holds."""
    relations = of("services.messaging.relations.sql.store").PostgresRelations

    honest = relations.block
    late: set[asyncio.Task[None]] = set()

    async def block(self: Any, *about: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(1.5)
            await honest(self, *about)

        late.add(asyncio.create_task(later()))

    relations.block = block


def removal_seen_late() -> None:
    """The fan-out goes by the members of some seconds ago."""
    conversations = of("services.messaging.conversations.sql.store").PostgresConversations

    honest = conversations.recipients_of
    known: dict[Any, tuple[float, Any]] = {}

    async def recipients_of(self: Any, ids: Collection[Any]) -> Mapping[Any, Any]:
        now_s = asyncio.get_running_loop().time()
        stale = [id_ for id_ in ids if known.get(id_, (0.0, ()))[0] < now_s - 5.0]
        for id_, members in (await honest(self, stale)).items() if stale else ():
            known[id_] = (now_s, members)
        return {id_: known[id_][1] for id_ in ids if id_ in known}

    conversations.recipients_of = recipients_of


def deleted_account_speaks() -> None:
    """Nobody asks whether an account is deleted."""
    admission = of("services.messaging.accounts.service.accounts").AccountAdmission

    async def require_not_deleted(self: Any, user_id: Any) -> None:
        return None

    admission.require_not_deleted = require_not_deleted


def cursor_goes_back() -> None:
    """A late MarkRead counts for more than an earlier one of a higher seq."""
    sql = of("services.messaging.receipts.sql")

    sql._LOCK = sql._LOCK.replace("greatest(m.read_seq, m.own_read_seq) AS read_seq", "0::bigint AS read_seq")


def unread_counts_own() -> None:
    """What one wrote oneself counts as unread."""
    own_states = of("services.messaging.conversations.sql.own_states")

    own_states._OWN_STATES = own_states._OWN_STATES.replace("x.sender_id <> m.user_id AND ", "")


def edit_lost() -> None:
    """A change is answered that was never written."""
    store = of("services.messaging.messages.sql.store")

    honest, now = store.write_change, _each(3)

    async def write_change(connection: Any, change: Any) -> None:
        if not now():
            await honest(connection, change)

    store.write_change = write_change


def refused_and_stored() -> None:
    """A send is stored, and then refused."""
    refusal = of("services.messaging.kernel.errors").NotAllowed
    messages = of("services.messaging.messages.service.messages").Messages

    honest, now = messages.send_text, _each(30)

    async def send_text(self: Any, *about: Any) -> Any:
        message = await honest(self, *about)
        if now():
            raise refusal
        return message

    messages.send_text = send_text


def handler_raises() -> None:
    """Something that nobody thought of raises out of a use-case."""
    messages = of("services.messaging.messages.service.messages").Messages

    honest, now = messages.send_text, _each(30)

    async def send_text(self: Any, *about: Any) -> Any:
        if now():
            raise KeyError("nobody thought of it")
        return await honest(self, *about)

    messages.send_text = send_text


def two_accepts() -> None:
    """A second device of one person takes a call that the first one has."""
    table = of("services.signaling.core.table")

    cases = tuple(case for case in table.ACCEPT.cases if case[1] is not table._ELSEWHERE)
    object.__setattr__(table.ACCEPT, "cases", cases)


def call_record_lost() -> None:
    """What became of a call is not told."""
    call_records = of("services.messaging.messages.consumer").CallRecords

    async def handle(self: Any, records: Sequence[Any]) -> None:
        return None

    call_records.handle = handle


def direct_delivery_lost() -> None:
    """What a producer handed over counts as passed on, and is not: so Kafka's copy is dropped, too."""
    ways = of("services.presence.delivery_ways").DeliveryWays

    honest, now = ways._take_direct, _each(4)

    def take_direct(self: Any, delivery: Any) -> None:
        if now():
            self._arrivals.take_direct(delivery, self._presence.now())
        else:
            honest(self, delivery)

    ways._take_direct = take_direct


def resync_lost() -> None:
    """A device whose route has moved is not told that it may have missed something."""
    streams = of("services.gateway.streams")
    route_moved = of("services.gateway.core.registry").RouteMoved

    honest = streams.Streams.apply

    def apply(self: Any, effects: Any) -> None:
        honest(self, [effect for effect in effects if not isinstance(effect, route_moved)])

    streams.Streams.apply = apply


def start_ends_calls() -> None:
    """A replica that starts takes the calls that run for those of a former life, and ends their media."""
    upkeep = of("services.signaling.upkeep").Upkeep

    honest = upkeep.sweep
    swept: set[int] = set()

    async def sweep(self: Any) -> None:
        if id(self) not in swept:
            swept.add(id(self))
            async with self.store._database.connection() as connection:
                rows = await connection.fetch("SELECT DISTINCT call_id FROM active_legs")
            for row in rows:
                call = await self.store.find(row["call_id"])
                if call is not None and call.worker is not None:
                    await self.media.end_call(self.workers.current(call.worker), call.call_id)
        await honest(self)

    upkeep.sweep = sweep


BUGS: Mapping[str, Bug] = {
    "acknowledge before commit": Bug("messaging", ("acknowledged is stored",), acknowledge_before_commit),
    "skip a number": Bug("messaging", ("no gaps",), skip_a_number),
    "relay forgets": Bug("messaging", ("no gaps",), relay_forgets),
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
    "direct delivery lost": Bug("presence", ("no gaps",), direct_delivery_lost),
    "resync lost": Bug("gateway", ("no gaps",), resync_lost, faults=("kill",), targets="presence"),
    "start ends calls": Bug("signaling", ("media goes on",), start_ends_calls, faults=("restart",)),
}
