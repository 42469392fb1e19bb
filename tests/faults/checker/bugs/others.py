"""Bugs of presence, the gateway, signaling, webhooks and push."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.faults.checker.bugs.planting import each, of, put, reword

# How long a frame is on its way. Raising it loses more with each link that breaks; lowering it loses less.
UNDER_WAY_S = 1.0


def direct_delivery_lost() -> None:
    """What a producer handed over counts as passed on, and is not: so Kafka's copy is dropped, too."""
    ways = of("services.presence.delivery_ways").DeliveryWays

    honest, now = ways._take_direct, each(4)

    def take_direct(self: Any, delivery: Any) -> None:
        if now():
            self._arrivals.take_direct(delivery, self._presence.now())
        else:
            honest(self, delivery)

    put(ways, "_take_direct", take_direct)


def resync_lost() -> None:
    """A device whose route has moved is not told that it may have missed something.

    The link to presence is a long one: what is under way when it breaks is lost with it.
    """
    streams, uplink = of("services.gateway.streams"), of("services.gateway.uplink")
    registry = of("services.gateway.core.registry")

    apply_honestly, handle_honestly = streams.Streams.apply, uplink._handle
    forget_honestly = registry.Registry.forget_replica
    broken: Counter[Any] = Counter()

    def apply(self: Any, effects: Any) -> None:
        apply_honestly(self, [effect for effect in effects if not isinstance(effect, registry.RouteMoved)])

    def handle(gateway: Any, replica: Any, response: Any) -> None:
        link = broken[replica]

        def arrive() -> None:
            if broken[replica] == link:
                handle_honestly(gateway, replica, response)

        asyncio.get_running_loop().call_later(UNDER_WAY_S, arrive)

    def forget_replica(self: Any, replica: Any) -> None:
        broken[replica] += 1
        forget_honestly(self, replica)

    put(streams.Streams, "apply", apply)
    put(uplink, "_handle", handle)
    put(registry.Registry, "forget_replica", forget_replica)


def two_accepts() -> None:
    """A second device of one person takes a call that the first one has."""
    table = of("services.signaling.core.table")

    cases = tuple(case for case in table.ACCEPT.cases if case[1] is not table._ELSEWHERE)
    if len(cases) == len(table.ACCEPT.cases):
        raise LookupError("the table refuses no second device")
    object.__setattr__(table.ACCEPT, "cases", cases)


def start_ends_calls() -> None:
    """A replica that starts takes the calls that run for those of a former life, and ends their media."""
    upkeep = of("services.signaling.upkeep").Upkeep

    honest = upkeep.sweep
    swept: set[int] = set()

    async def sweep(self: Any) -> None:
        if id(self) not in swept:
            async with self.store._database.connection() as connection:
                rows = await connection.fetch("SELECT DISTINCT call_id FROM active_legs")
            for row in rows:
                call = await self.store.find(row["call_id"])
                if call is not None and call.worker is not None:
                    await self.media.end_call(self.workers.current(call.worker), call.call_id)
            swept.add(id(self))
        await honest(self)

    put(upkeep, "sweep", sweep)


def webhook_lost() -> None:
    """An event is passed over, and its offset committed."""
    intake = of("services.webhooks.service").Intake

    honest, now = intake.take, each(10)

    async def take(self: Any, events: Sequence[Any], erasure: Any) -> None:
        await honest(self, [event for event in events if not now()], erasure)

    put(intake, "take", take)


def webhook_out_of_order() -> None:
    """Of what waits in a conversation, the newest goes first."""
    sql = of("services.webhooks.sql")

    for name in ("_FIRST", "_SETTLE"):
        reword(sql, name, "ORDER BY id LIMIT 1", "ORDER BY id DESC LIMIT 1")


def webhook_of_nothing() -> None:
    """A message is told under a seq that it has not."""
    consumer = of("services.webhooks.consumer")

    honest, now = consumer.read, each(10)

    def read(record: Any) -> Any:
        news = honest(record)
        if news is not None and news.event.type == "message.sent" and now():
            news.message.message_sent.message.seq += 1000
        return news

    put(consumer, "read", read)


def webhook_signed_with_another_key() -> None:
    """A key is used that the receiver does not have."""
    clients = of("services.webhooks.clients")

    honest, now = clients.signed_headers, each(10)
    other = ("whsec_" + b64encode(b"o" * 32).decode(),)

    def signed_headers(secrets: Any, *about: Any) -> Any:
        return honest(other if now() else secrets, *about)

    put(clients, "signed_headers", signed_headers)


def notice_lost() -> None:
    """News are passed over, and their offset committed."""
    notices = of("services.push.service").Notices

    honest, now = notices.take, each(3)

    async def take(self: Any, told: Sequence[Any]) -> None:
        await honest(self, [one for one in told if not now()])

    put(notices, "take", take)


def notice_stays() -> None:
    """What was read on one device is not taken back on the others."""
    decision, news = of("services.push.core.decision"), of("services.push.core.news")

    if news.OwnStateChanged not in decision._DECISIONS:
        raise LookupError("nothing is decided on what was read")

    def take_own_state(_: Any, thread: Any, *about: Any) -> Any:
        return thread

    decision._DECISIONS[news.OwnStateChanged] = take_own_state


def notice_of_the_blocked() -> None:
    """Nobody looks whether the sender is blocked."""
    facts = of("services.push.clients.facts")

    honest = facts.to_facts

    def to_facts(message: Any) -> Any:
        return replace(honest(message), is_blocked=False)

    put(facts, "to_facts", to_facts)
