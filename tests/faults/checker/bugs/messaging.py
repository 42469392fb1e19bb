"""Bugs of messaging."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.faults.checker.bugs.planting import each, of, put, reword


def acknowledge_before_commit() -> None:
    """A send is answered, and its transaction is rolled back."""
    sequence_drafts = of("services.messaging.messages.core.sequencing").sequence_drafts
    stores = of("services.messaging.messages.sql.store").PostgresMessages

    honest, now = stores.append, each(20)

    async def append(self: Any, drafts: Sequence[Any]) -> Any:
        sendable = self._known.sendable(drafts)
        if len(sendable) == len(drafts) and now():
            return sequence_drafts(sendable, self._known.states_of(sendable), {}).outcomes
        return await honest(self, drafts)

    put(stores, "append", append)


def skip_a_number() -> None:
    """Two sends at once take two numbers, and one of them is given back."""
    store = of("services.messaging.messages.sql.store")

    honest, now = store.sequence_drafts, each(20)

    def sequence_drafts(drafts: Sequence[Any], states: Any, *more: Any) -> Any:
        if now():
            states = replace(states, last_seqs={key: seq + 1 for key, seq in states.last_seqs.items()})
        return honest(drafts, states, *more)

    put(store, "sequence_drafts", sequence_drafts)


def relay_forgets() -> None:
    """Rows leave the outbox that the broker never got."""
    relay = of("services.runtime.postgres.outbox").OutboxRelay

    honest, now = relay._publish, each(3)

    async def publish(self: Any, records: Sequence[Any]) -> None:
        await honest(self, [record for record in records if not now()])

    put(relay, "_publish", publish)


def fan_out_commits_early() -> None:
    """Records count as handled before their deliveries are with the broker; some never get there."""
    fan_out = of("services.messaging.conversations.consumer").FanOut

    honest, now = fan_out.handle, each(3)

    async def handle(self: Any, records: Sequence[Any]) -> None:
        if not now():
            await honest(self, records)

    put(fan_out, "handle", handle)


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

    put(store, "insert_messages", insert_messages)


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

    put(relations, "block", block)


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

    put(conversations, "recipients_of", recipients_of)


def deleted_account_speaks() -> None:
    """Nobody asks whether an account is deleted."""
    admission = of("services.messaging.accounts.service.accounts").AccountAdmission

    async def require_not_deleted(self: Any, user_id: Any) -> None:
        return None

    put(admission, "require_not_deleted", require_not_deleted)


def cursor_goes_back() -> None:
    """A late MarkRead counts for more than an earlier one of a higher seq."""
    sql = of("services.messaging.receipts.sql")

    reword(sql, "_LOCK", "greatest(m.read_seq, m.own_read_seq) AS read_seq", "0::bigint AS read_seq")


def unread_counts_own() -> None:
    """What one wrote oneself counts as unread."""
    own_states = of("services.messaging.conversations.sql.own_states")

    reword(own_states, "_OWN_STATES", "x.sender_id <> m.user_id AND ", "")


def edit_lost() -> None:
    """A change is answered that was never written."""
    store = of("services.messaging.messages.sql.store")

    honest, now = store.write_change, each(3)

    async def write_change(connection: Any, change: Any) -> None:
        if not now():
            await honest(connection, change)

    put(store, "write_change", write_change)


def reaction_lost() -> None:
    """A reaction is answered that was never written."""
    store = of("services.messaging.messages.sql.store")

    honest, now = store.write_change, each(3)

    async def write_change(connection: Any, change: Any) -> None:
        if change.reaction is None or not now():
            await honest(connection, change)

    put(store, "write_change", write_change)


def vote_lost() -> None:
    """A vote is answered that was never written."""
    store = of("services.messaging.messages.sql.store")

    honest, now = store.write_change, each(3)

    async def write_change(connection: Any, change: Any) -> None:
        if change.vote is None or not now():
            await honest(connection, change)

    put(store, "write_change", write_change)


def vanishing_forgotten() -> None:
    """A message is stored as if it were to stay."""
    sequencing = of("services.messaging.messages.core.sequencing")

    honest = sequencing._at

    def at(draft: Any, seq: int, _: Any) -> Any:
        return honest(draft, seq, None)

    put(sequencing, "_at", at)


def own_cursor_not_told() -> None:
    """The other devices of whoever reads hear nothing of it."""
    sql = of("services.messaging.receipts.sql")

    async def tell_nobody(*_: Any) -> None:
        return None

    put(sql, "_tell_own_devices", tell_nobody)


def refused_and_stored() -> None:
    """A send is stored, and then refused."""
    refusal = of("services.messaging.kernel.errors").NotAllowed
    sending = of("services.messaging.messages.service.sending").Sending

    honest, now = sending.send, each(30)

    async def send(self: Any, *about: Any) -> Any:
        message = await honest(self, *about)
        if now():
            raise refusal
        return message

    put(sending, "send", send)


def handler_raises() -> None:
    """Something that nobody thought of raises out of a use-case."""
    sending = of("services.messaging.messages.service.sending").Sending

    honest, now = sending.send, each(30)

    async def send(self: Any, *about: Any) -> Any:
        if now():
            raise KeyError("nobody thought of it")
        return await honest(self, *about)

    put(sending, "send", send)


def call_record_lost() -> None:
    """What became of a call is not told."""
    call_records = of("services.messaging.messages.consumer").CallRecords

    async def handle(self: Any, records: Sequence[Any]) -> None:
        return None

    put(call_records, "handle", handle)
