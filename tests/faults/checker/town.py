"""The whole of the clients of one run: who is there, what they do together, and what all of them show in the end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle
from random import Random
from typing import Any

import grpc
from parley.calls.v1 import messages_pb2 as call_messages
from parley.messaging.v1 import relations_pb2 as relations
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Edge
from tests.faults.checker.asking import Recorder
from tests.faults.checker.history import Action, Fault, History, Outcome, Sleeper
from tests.faults.checker.hooks import Listener
from tests.faults.checker.people import Conversation, Person, is_ringing, names
from tests.faults.checker.promises import Breach, breaches
from tests.faults.checker.reading import RETRY_S, Reader
from tests.faults.checker.sleepers import Messenger
from tests.faults.checker.talk import Talk

DEVICES = ("phone", "laptop")
SET_UP_S = 60.0
# How long nothing may get better, when all is quiet, until what is missing is called lost. Raising it finds a loss
# later; lowering it takes a stack that is still coming back for one that loses.
SETTLE_S = 60.0
# How long a caller waits for the ring at the other side. Raising it makes fewer calls that nobody takes while a service
# is away; lowering it makes more of them.
RING_S = 5.0
# Raising it makes a run wait for longer at its end; lowering it leaves nobody the time to change what vanishes.
VANISH_AFTER_S = 3
LOOK_S = 0.1
# Groups of the two who write seldom, to another one each time: what a device has missed there no later message points
# at. Raising it leaves that so in longer runs; lowering it makes a run begin sooner.
QUIET_GROUPS = 24


class Town:
    """Six people who stay and one who leaves: four pairs, and two groups. Two more talk quietly in many groups.

    `listener` is the network's server, which is told of all towns; `messenger` tells the devices of three that sleep.
    `broker_forgets`: see `History`.
    """

    def __init__(
        self,
        edge: Edge,
        seed: str,
        random: Random,
        clock: Callable[[], float],
        listener: Listener,
        messenger: Messenger,
        *,
        broker_forgets: bool = False,
    ) -> None:
        self._seed = seed
        self._random = random
        self._clock = clock
        self._listener = listener
        self._messenger = messenger
        self._sleepers: list[Sleeper] = []
        self._broker_forgets = broker_forgets
        self._recorder = Recorder(clock, Random(random.random()))
        self._reader = Reader(edge, clock, SETTLE_S)
        mark = secrets.token_hex(4)
        self._talk = Talk(edge, mark, clock)
        self.people = [Person(edge, name, self._recorder, Random(random.random()), clock) for name in names(9, mark)]
        self.directs: dict[str, tuple[str, str]] = {}
        self.vanishing: dict[str, int] = {}
        self._conversation_of_call: dict[str, Conversation] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Everybody's devices for the length of the block, and the conversations that they begin with."""
        try:
            for person in self.people:
                for name in DEVICES:
                    live = await person.open(name)
                    await live.stream.until_current(SET_UP_S)
            alice, bob, carol, dave, erin, frank, grace, heidi, ivan = self.people
            for pair in ((alice, bob), (carol, dave), (alice, carol)):
                await self._begin_direct(*pair)
            await self._begin_direct(bob, erin)
            await self._let_vanish(bob)
            await self._begin_group(alice, [bob, carol, dave, erin, frank, grace])
            await self._begin_group(bob, [carol, dave, frank, grace])
            await asyncio.gather(*(self._begin_group(heidi, [ivan]) for _ in range(QUIET_GROUPS)))
            self._sleepers = [await self._messenger.tell(one.device) for one in (alice, dave, ivan)]
            async with self._talk.open():
                yield
        finally:
            for person in self.people:
                for live in list(person.live):
                    await person.close(live)

    async def live_on(self, is_over: Callable[[], bool], is_calm: Callable[[], bool]) -> None:
        """All do what they do until it is over; nobody is in the middle of anything when it returns.

        The two who talk go on until it `is_calm`, since what the last fault does to a call shows only there.
        """
        *lively, _, _ = self.people
        acts = [person.live_on for person in lively]
        acts += [self._quarrel, self._come_and_go, self._call, self._end, self._whisper]
        tasks = [asyncio.create_task(act(is_over)) for act in acts]
        tasks.append(asyncio.create_task(self._talk.live_on(is_calm)))
        await asyncio.gather(*tasks)

    # ---- What more than one person takes part in

    async def _quarrel(self, is_over: Callable[[], bool]) -> None:
        """alice blocks bob, and takes it back."""
        alice, bob = self.people[0], self.people[1]
        while not is_over():
            if await alice.block(bob.user_id):
                await self._pause(1.0)
            await alice.unblock(bob.user_id)
            await self._pause(3.0)

    async def _come_and_go(self, is_over: Callable[[], bool]) -> None:
        """frank is put out of the first group, and let in again."""
        alice, frank = self.people[0], self.people[5]
        group = alice.conversations[-1]
        while not is_over():
            if await alice.remove(group, frank.user_id):
                await self._pause(1.0)
            await alice.add(group, frank.user_id)
            await self._pause(3.0)

    async def _call(self, is_over: Callable[[], bool]) -> None:
        """carol calls dave, who takes it on two devices at once, or not at all."""
        carol, dave = self.people[2], self.people[3]
        conversation = carol.conversations[0]
        number = 0
        while not is_over():
            number += 1
            call_id = await carol.start_call(conversation, number)
            if not call_id:
                await self._pause(1.0)
                continue
            self._conversation_of_call[call_id] = conversation
            await self._pause(1.0)
            # It rings nobody while presence is away.
            if await self._has_come(partial(is_ringing, dave, call_id)):
                await dave.accept_call(conversation, call_id)
                await self._pause(1.0)
            await self._random.choice((carol, dave)).end_call(conversation, call_id)
            await self._pause(2.0)

    async def _end(self, is_over: Callable[[], bool]) -> None:
        """grace deletes her account somewhere in the second half."""
        grace = self.people[6]
        began_s = self._clock()
        while not is_over() and self._clock() - began_s < self._random.uniform(15.0, 60.0):
            await self._pause(1.0)
        # What is not known to be done is asked once more, as people do.
        await self._until_done(grace.delete_account)

    async def _whisper(self, is_over: Callable[[], bool]) -> None:
        """heidi and ivan write to one quiet group after the other."""
        heidi, ivan = self.people[-2:]
        for group in cycle(heidi.conversations):
            if is_over():
                return
            await self._random.choice((heidi, ivan)).send(group)
            await self._pause(0.6)

    async def _has_come(self, has_come: Callable[[], bool]) -> bool:
        """Whether it does within some seconds."""
        give_up_s = self._clock() + RING_S
        while not has_come() and self._clock() < give_up_s:  # noqa: ASYNC110 - no event for what may never come
            await asyncio.sleep(LOOK_S)
        return has_come()

    async def _pause(self, about_s: float) -> None:
        await asyncio.sleep(self._random.uniform(0.5, 1.5) * about_s)

    # ---- The end

    async def settle(
        self, faults: list[Fault], say: Callable[[str], None], patience_s: float = SETTLE_S
    ) -> tuple[History, list[Breach]]:
        """The history once all is quiet, and what is still wrong with it when nothing has got better for so long.

        What the faults kept from a device must come without a later message. After that there is one, which must come,
        too.
        """
        await self._come_to_rest()
        history, found = await self._until_kept(faults, say, patience_s)
        if found:
            return history, found
        await self._last_words()
        return await self._until_kept(faults, say, patience_s)

    async def _until_kept(
        self, faults: list[Fault], say: Callable[[str], None], patience_s: float
    ) -> tuple[History, list[Breach]]:
        least, since_s = None, self._clock()
        while True:
            history = await self._read(faults)
            found = breaches(history)
            if least is None or len(found) < least:
                least, since_s = len(found), self._clock()
                say(f"{len(found)} promises are open" if found else "all promises are kept")
            if not found or self._clock() - since_s > patience_s:
                return history, found
            await asyncio.sleep(RETRY_S)

    async def _come_to_rest(self) -> None:
        alice, bob = self.people[:2]
        await self._until_done(partial(alice.unblock, bob.user_id))
        asleep = {sleeper.person for sleeper in self._sleepers}
        for person in self.people:
            if person.user_id in asleep:
                await self._until_done(partial(person.read_to_the_end, person.conversations[0]))
        for call_id, conversation in self._conversation_of_call.items():
            await self._until_done(partial(self._ended, call_id, conversation))

    async def _last_words(self) -> None:
        alice, *_ = self.people
        direct, *_, group = alice.conversations
        for conversation in (direct, group):
            await self._until_done(partial(alice.send, conversation))

    async def _ended(self, call_id: str, conversation: Conversation) -> bool:
        carol = self.people[2]
        call = await self._reader.get_call(carol, call_id)
        if call is not None and call.state != call_messages.CALL_STATE_ENDED:
            await carol.end_call(conversation, call_id)
            call = await self._reader.get_call(carol, call_id)
        return call is not None and call.state == call_messages.CALL_STATE_ENDED

    async def _until_done(self, act: Callable[[], Any]) -> None:
        give_up_s = self._clock() + SETTLE_S
        while not await act() and self._clock() < give_up_s:  # noqa: ASYNC110 - the services set no event of ours
            await asyncio.sleep(RETRY_S)

    async def _read(self, faults: list[Fault]) -> History:
        views, arrivals, told = await self._reader.read(self.people, self._conversation_of_call)
        ours = {key.conversation_id for person in self.people for key in person.conversations}
        ours |= {person.user_id for person in self.people} | self._conversation_of_call.keys()
        return History(
            self._seed,
            operations=tuple(sorted(self._recorder.operations, key=lambda operation: operation.began_s)),
            faults=tuple(faults),
            views=tuple(views),
            arrivals=tuple(arrivals),
            calls=tuple(told),
            heard=tuple(self._talk.heard),
            hooks=tuple(self._listener.about(ours)),
            disbelieved=self._listener.disbelieved,
            sleepers=tuple(self._sleepers),
            notices=tuple(self._messenger.to({sleeper.person for sleeper in self._sleepers})),
            disbelieved_notices=self._messenger.disbelieved,
            broker_forgets=self._broker_forgets,
            directs=self.directs,
            vanishing=self.vanishing,
        )

    # ---- The beginning

    async def _begin_direct(self, first: Person, second: Person) -> None:
        request = messaging.CreateDirectConversationRequest(peer_user_id=second.user_id)
        created = (await first.device.messaging.CreateDirectConversation(request)).conversation
        conversation = Conversation(created.conversation_id, [first.user_id, second.user_id])
        self.directs[conversation.conversation_id] = (first.user_id, second.user_id)
        await self._begin(conversation, first, [second])

    async def _let_vanish(self, person: Person) -> None:
        """What is said from now on in this person's newest conversation does not stay."""
        conversation_id = person.conversations[-1].conversation_id
        request = messaging.SetVanishingRequest(conversation_id=conversation_id)
        request.vanish_after.FromSeconds(VANISH_AFTER_S)
        answer = await person.device.messaging.SetVanishing(request)
        self.vanishing[conversation_id] = answer.conversation.last_seq

    async def _begin_group(self, admin: Person, others: list[Person]) -> None:
        request = messaging.CreateGroupRequest(
            client_conversation_id=secrets.token_hex(8), title="Town", user_ids=[other.user_id for other in others]
        )
        created = (await admin.device.messaging.CreateGroup(request)).conversation
        members = [admin.user_id, *(other.user_id for other in others)]
        await self._begin(Conversation(created.conversation_id, members, admin.user_id), admin, others)

    async def _begin(self, conversation: Conversation, first: Person, others: list[Person]) -> None:
        """The first message, which lets the others accept the request."""
        await first.send(conversation)
        for other in others:
            request = relations.AcceptRequestRequest(conversation_id=conversation.conversation_id)
            try:
                await other.device.relations.AcceptRequest(request)
            except grpc.aio.AioRpcError as error:
                # Of a conversation that never waited.
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
        for person in (first, *others):
            person.conversations.append(conversation)


def counts(history: History) -> dict[str, int]:
    """How much a run has asked, for its report."""
    sends = list(history.of(Action.SEND))
    return {
        "operations": len(history.operations),
        "acknowledged_messages": len({(s.conversation, s.subject) for s in sends if s.outcome is Outcome.OK}),
        "unknown": sum(operation.outcome is Outcome.UNKNOWN for operation in history.operations),
        "refused": sum(operation.outcome is Outcome.FAILED for operation in history.operations),
        "calls": len({call.call_id for call in history.calls}),
    }
