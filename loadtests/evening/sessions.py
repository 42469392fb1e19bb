"""People come and go: their devices connect and synchronise, and leave."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from parley.gateway.v1 import messages_pb2 as events

from loadtests.evening import writing
from loadtests.evening.handset import CURRENT_WITHIN_S, Handset, Person
from loadtests.evening.schedule import Action, Kind
from loadtests.evening.state import EXPECTED, Evening

# As the web client does: those whom a screen shows.
_MOST_WATCHED = 50
_DELIVERED_EVERY_S = 1.0
# What is being done when the app is closed is still done. Raising it keeps devices of an overloaded stack for longer;
# lowering it breaks off what might have come out.
_DONE_WITHIN_S = 30.0


async def open_session(evening: Evening, person: Person, due_s: float) -> None:
    """The app is opened, on one device or two; the session's doings are due from now on, whatever the stack does."""
    if person.is_open:
        return
    person.is_open = True
    evening.counts["sessions"] += 1
    evening.add(*evening.habits.session(due_s, person.number))
    async with person.lock:
        devices = 2 if evening.habits.has_two_devices() else 1
        opened = await asyncio.gather(*(_connect(evening, person, number, due_s) for number in range(devices)))
        person.handsets = [handset for handset in opened if handset is not None]
        person.has_opened.set()
        contacts = [evening.persons[one].user_id for one in evening.town.contacts(person.number)][:_MOST_WATCHED]
        try:
            await asyncio.gather(*(handset.stream.watch(contacts) for handset in person.handsets))
        except EXPECTED as error:
            evening.fail("watch", due_s, error)


async def close_session(evening: Evening, person: Person) -> None:
    """The app is closed, unless a call keeps it open; the next session is due after a while."""
    if not person.is_open or person.is_closing:
        return
    if person.in_call:
        person.wants_to_close = True
        return
    person.is_closing = True
    async with person.lock:
        if person.doings:
            await asyncio.wait(person.doings, timeout=_DONE_WITHIN_S)
        if person.in_call:
            # It began meanwhile.
            person.is_closing, person.wants_to_close = False, True
            return
        handsets, person.handsets = person.handsets, []
        person.has_opened.clear()
        person.wants_to_close = False
        person.reading.clear()
        evening.typing.stop(person.user_id)
        await asyncio.gather(*(_leave(evening, handset) for handset in handsets))
    person.is_open = person.is_closing = False
    plan_session(evening, person, time.monotonic() + evening.habits.session_gap_s())


def plan_session(evening: Evening, person: Person, due_s: float) -> None:
    """The next session is due then, and no other."""
    person.next_open_s = due_s
    evening.add(Action(due_s, Kind.OPEN, person.number))


async def tell_delivered(evening: Evening) -> None:
    """For ever: devices say each second what has come, each in one request."""
    while True:
        await asyncio.sleep(_DELIVERED_EVERY_S)
        for person in evening.persons:
            for handset in person.handsets:
                if handset.delivered:
                    evening.begin(_tell_delivered(evening, handset))


async def _tell_delivered(evening: Evening, handset: Handset) -> None:
    began_s = time.monotonic()
    try:
        await handset.tell_delivered()
    except EXPECTED as error:
        evening.fail("delivered", began_s, error)
    else:
        evening.record("delivered", began_s)


async def _connect(evening: Evening, person: Person, number: int, due_s: float) -> Handset | None:
    def hear(handset: Handset, event: events.DeviceEvent, now_s: float) -> None:
        match event.WhichOneof("event"):
            case "message":
                writing.hear_message(evening, handset, event.message, now_s)
            case "typing":
                writing.hear_typing(evening, handset, event.typing, now_s)
            case "presence":
                evening.counts["presence"] += 1
            case "resync":
                evening.counts["resyncs"] += 1
            case "ready" if not event.ready.resumed:
                handset.check.begin()

    handset = Handset(evening.edge, person.user_id, f"device-{number + 1}", person.tokens, hear)
    async with AsyncExitStack() as failing:
        await failing.enter_async_context(handset)
        try:
            await handset.stream.until_current(CURRENT_WITHIN_S)
        except EXPECTED as error:
            evening.fail("session", due_s, error)
            return None
        evening.record("session", due_s)
        failing.pop_all()
    return handset


async def _leave(evening: Evening, handset: Handset) -> None:
    """What the device should have got by now is looked for in what it has by Sync as well."""
    now_s = time.monotonic()
    for missing in evening.on_their_way.leave(handset.name, now_s):
        conversation_id, seq = evening.on_their_way.place_of(missing.client_message_id) or ("", 0)
        history = handset.stream.inbox.conversations.history(conversation_id)
        if history.entry(seq) is not None or seq <= history.base:
            evening.counts["by sync"] += 1
            evening.latencies.fail("deliver", missing.due_s, "BY_SYNC")
        else:
            evening.counts["lost"] += 1
            evening.latencies.fail("deliver", missing.due_s, "NEVER")
            evening.faults.append(f"{handset.name} was never told of seq {seq} of {conversation_id}")
    evening.typing.leave(handset.name)
    evening.counts["duplicated"] += handset.check.doubled
    evening.counts["reordered"] += handset.check.reordered
    await handset.__aexit__()
