"""The steps, in their order: functions whose docstring says what must hold, and which raise BrokenError otherwise."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.contract.driver import Driver, RefusedError
from tests.contract.network import Person, Proxy

# Between two looks at what the client shows.
_LOOK_S = 0.2
# So often a client may try while nothing gets through. One that doubles its waits from 0.2 s on tries six times in four
# seconds; one of several connections as often with each.
MOST_TRIES = 40
# What is written while the client is stopped: more than it keeps open by a gap, fewer than its peer may write at once.
MEANWHILE = 60
NOBODYS = "01a00000-0000-7000-8000-000000000000"


class BrokenError(Exception):
    """What must hold does not."""


@dataclass
class Contract:
    """What the steps share. `conversation` is that of the client's user and the peer."""

    driver: Driver
    peer: Person
    # The client's own user, for what only that one may ask.
    me: Person
    proxy: Proxy
    issuer: str
    device: str
    patience_s: float
    # For how long nothing gets through to Parley.
    away_s: float
    conversation: str = ""

    async def start(self) -> None:
        """Starts the client, through the proxy."""
        await self.driver.do("start", url=self.proxy.url, issuer=self.issuer, user=self.me.user_id, device=self.device)

    async def shown(self) -> list[dict[str, Any]]:
        """What the client shows of the conversation."""
        messages: list[dict[str, Any]] = (await self.driver.do("shown", conversation=self.conversation))["messages"]
        return messages

    async def until_shown(self, good: Callable[[list[dict[str, Any]]], object], what: str) -> list[dict[str, Any]]:
        """Waits until the client shows this."""
        found: list[list[dict[str, Any]]] = []

        async def holds() -> object:
            found[:] = [await self.shown()]
            return good(found[0])

        await self.until(holds, what, lambda: str(found)[-500:])
        return found[0]

    async def until(self, holds: Callable[[], Awaitable[object]], what: str, seen: Callable[[], str] = str) -> None:
        """Waits for something."""
        try:
            async with asyncio.timeout(self.patience_s):
                while not await holds():  # noqa: ASYNC110 - what is elsewhere can only be looked at again
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise BrokenError(f"{what}: not within {self.patience_s:g} s; last seen: {seen()}") from None


def texts(messages: list[dict[str, Any]]) -> list[Any]:
    """What is said in them."""
    return [message.get("text") for message in messages]


def check(holds: object, what: str) -> None:
    """Raises BrokenError."""
    if not holds:
        raise BrokenError(what)


def in_one_order(messages: list[dict[str, Any]]) -> None:
    """No message twice, none missing in between, the older first."""
    seqs = [int(message["seq"]) for message in messages]
    check(seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True, f"shown are the seqs {seqs[-200:]}")


async def starts(contract: Contract) -> None:
    """It logs in, opens its stream of events, and is live"""
    await contract.start()
    state = await contract.driver.do("state")
    check(state.get("state") == "live", f"its state is {state}")


async def opens(contract: Contract) -> None:
    """It opens the one conversation of two people, which is the same from either side"""
    mine = (await contract.driver.do("open", peer=contract.peer.user_id))["conversation"]
    again = (await contract.driver.do("open", peer=contract.peer.user_id))["conversation"]
    theirs = await contract.peer.open(contract.me.user_id)
    check(mine == again == theirs, f"it gave {mine}, then {again}; the peer's is {theirs}")
    contract.conversation = mine


async def sends(contract: Contract) -> None:
    """What it sends is stored once, also when it is sent again under the same key"""
    given = {"conversation": contract.conversation, "text": "Grüße 🙂", "key": str(uuid.uuid4())}
    first, again = await contract.driver.do("send", **given), await contract.driver.do("send", **given)
    stored = await contract.peer.messages(contract.conversation)
    check(first["seq"] == again["seq"], f"it has seq {first['seq']}, and then {again['seq']}")
    check([m["text"]["text"] for m in stored] == ["Grüße 🙂"], f"stored is {stored}")


async def hears(contract: Contract) -> None:
    """What others write is shown: once, in one order, and beside its own"""
    for text in ("one", "two", "three"):
        await contract.peer.send(contract.conversation, text)
    shown = await contract.until_shown(lambda all_: texts(all_)[-1:] == ["three"], "the last of three messages")
    check(texts(shown)[-3:] == ["one", "two", "three"], f"shown is {texts(shown)}")
    check({message["from"] for message in shown[-3:]} == {contract.peer.user_id}, f"shown is {shown[-3:]}")
    in_one_order(shown)


async def sees_changes(contract: Contract) -> None:
    """An edit, a reaction and an unsending of others change what is shown"""
    edited = await contract.peer.send(contract.conversation, "wrong")
    unsent = await contract.peer.send(contract.conversation, "to be gone")
    place = f"/v1/conversations/{contract.conversation}/messages"
    await contract.peer.ask("PATCH", f"{place}/{edited}", {"text": {"text": "right"}})
    await contract.peer.ask("PUT", f"{place}/{edited}/reactions", {"emoji": "👍", "present": True})
    await contract.peer.ask("DELETE", f"{place}/{unsent}")

    def are_changed(messages: list[dict[str, Any]]) -> bool:
        by_seq = {int(message["seq"]): message for message in messages}
        if not {edited, unsent} <= by_seq.keys():
            return False
        is_edited = by_seq[edited].get("text") == "right"
        has_reaction = by_seq[edited].get("reactions", {}).get("👍") == [contract.peer.user_id]
        return is_edited and has_reaction and by_seq[unsent].get("gone") is True

    await contract.until_shown(are_changed, "the edit, the reaction and the unsending")


async def changes(contract: Contract) -> None:
    """It edits, reacts and unsends, and the others have it"""
    kept, gone = [
        int(
            (await contract.driver.do("send", conversation=contract.conversation, text=text, key=str(uuid.uuid4())))[
                "seq"
            ]
        )
        for text in ("typo", "regret")
    ]
    await contract.driver.do("edit", conversation=contract.conversation, seq=kept, text="no typo")
    await contract.driver.do("react", conversation=contract.conversation, seq=kept, emoji="🎉")
    await contract.driver.do("unsend", conversation=contract.conversation, seq=gone)
    stored = {int(message["seq"]): message for message in await contract.peer.messages(contract.conversation)}
    check(stored[kept]["text"]["text"] == "no typo", f"stored is {stored[kept]}")
    check(stored[kept]["reactions"][0]["emoji"] == "🎉", f"stored is {stored[kept]}")
    check("unsent" in stored[gone], f"stored is {stored[gone]}")


async def reads(contract: Contract) -> None:
    """What it says it has read, the others learn"""
    seq = await contract.peer.send(contract.conversation, "read this")
    await contract.until_shown(lambda all_: texts(all_)[-1:] == ["read this"], "the message")
    await contract.driver.do("read", conversation=contract.conversation, seq=seq)
    cursor = await contract.peer.read_cursor_of(contract.conversation, contract.me.user_id)
    check(cursor == seq, f"the peer knows of {cursor}, and seq {seq} was read")


async def tells_refusals(contract: Contract) -> None:
    """A refusal reaches its user with the reason that the protos name"""
    try:
        done = await contract.driver.do("send", conversation=NOBODYS, text="x", key=str(uuid.uuid4()))
    except RefusedError as error:
        check(str(error) == "CONVERSATION_NOT_FOUND", f"the reason is {error}")
    else:
        raise BrokenError(f"it says that it has sent to a conversation that is not there: {done}")


async def comes_back(contract: Contract) -> None:
    """Its connections break, and nothing gets through for a while: it does not hammer, and then lacks nothing"""
    contract.proxy.set_mode("closed")
    for number in range(5):
        await contract.peer.send(contract.conversation, f"meanwhile {number}")
    await asyncio.sleep(contract.away_s)
    tries = contract.proxy.refused
    contract.proxy.set_mode("open")
    shown = await contract.until_shown(lambda all_: texts(all_)[-1:] == ["meanwhile 4"], "what came meanwhile")
    check(texts(shown)[-5:] == [f"meanwhile {number}" for number in range(5)], f"shown is {texts(shown)[-8:]}")
    in_one_order(shown)
    check(tries <= MOST_TRIES, f"it tried {tries} times in {contract.away_s:g} s")


async def sends_once(contract: Contract) -> None:
    """An answer that gets lost doubles nothing: what was sent is stored once, and acknowledged in the end"""
    contract.proxy.set_mode("deaf")
    key = str(uuid.uuid4())
    given = {"conversation": contract.conversation, "text": "once", "key": key}
    sending = asyncio.create_task(contract.driver.do("send", **given))

    async def is_stored() -> bool:
        return any(
            message.get("text", {}).get("text") == "once"
            for message in await contract.peer.messages(contract.conversation)
        )

    try:
        await contract.until(is_stored, "the message is stored")
    finally:
        contract.proxy.set_mode("closed")
        contract.proxy.set_mode("open")
    seq = int((await sending)["seq"])
    stored = [m for m in await contract.peer.messages(contract.conversation) if m.get("text", {}).get("text") == "once"]
    check([int(message["seq"]) for message in stored] == [seq], f"it has seq {seq}; stored is {stored}")


async def keeps_order(contract: Contract) -> None:
    """What it sends one after the other has that order"""
    words = [f"in order {number}" for number in range(10)]
    for text in words:
        await contract.driver.do("send", conversation=contract.conversation, text=text, key=str(uuid.uuid4()))
    stored = [message["text"]["text"] for message in (await contract.peer.messages(contract.conversation))[-10:]]
    check(stored == words, f"stored is {stored}")
    in_one_order(await contract.until_shown(lambda all_: texts(all_)[-10:] == words, "its own messages, in order"))


async def starts_again(contract: Contract) -> None:
    """After a stop and a start it shows what was written and changed meanwhile, whatever it kept"""
    first = await contract.peer.send(contract.conversation, "before the stop")
    await contract.until_shown(lambda all_: texts(all_)[-1:] == ["before the stop"], "the message")
    await contract.driver.do("stop")
    for number in range(MEANWHILE):
        await contract.peer.send(contract.conversation, f"while it was away {number}")
    place = f"/v1/conversations/{contract.conversation}/messages/{first}"
    await contract.peer.ask("PATCH", place, {"text": {"text": "edited while it was away"}})
    await contract.start()
    newest = [f"while it was away {MEANWHILE - 1}"]
    shown = await contract.until_shown(lambda all_: texts(all_)[-1:] == newest, "the newest message after a start")
    in_one_order(shown)
    # A client may begin with a page of the newest; what it shows has to be as it stands.
    old = next((message for message in shown if int(message["seq"]) == first), None)
    check(old is None or old.get("text") == "edited while it was away", f"an old text is shown: {old}")


async def gives_way(contract: Contract) -> None:
    """Another stream takes its device's place: it says so, and does not fight for it"""
    connection = await contract.me.take_the_place_of(contract.device)
    try:
        states: list[dict[str, Any]] = []

        async def is_ended() -> bool:
            states[:] = [await contract.driver.do("state")]
            return states[0].get("state") == "ended" and states[0].get("reason") == "REPLACED"

        await contract.until(is_ended, "it says that it was REPLACED", lambda: str(states))
        await asyncio.sleep(contract.away_s)
        state = await contract.driver.do("state")
        check(state.get("state") == "ended", f"it has come back: {state}")
    finally:
        connection.close()


Step = Callable[[Contract], Awaitable[None]]
STEPS: tuple[Step, ...] = (
    starts,
    opens,
    sends,
    hears,
    sees_changes,
    changes,
    reads,
    tells_refusals,
    comes_back,
    sends_once,
    keeps_order,
    starts_again,
    gives_way,
)
