"""What servers of the network do with calls: rings of nobody's device, ends with a reason, and who may do what."""

from dataclasses import replace

import pytest

from services.runtime.errors import AccountDeleted, CallerNotAllowed, InvalidRequest
from services.runtime.identity.accounts import Accounts, Standing
from services.runtime.identity.server_keys import Server
from services.signaling.back_office.service import BackOffice
from services.signaling.core.errors import (
    CallNotAllowed,
    CallNotFound,
    CallRate,
    ConversationNotFound,
    NotAdmin,
    NotGroupCall,
)
from services.signaling.core.model import Call, CallState, ConversationId, DeviceId, EndReason, LegState, UserId
from services.signaling.core.rate import RatePolicy, StartPolicy
from services.signaling.requests import check_reason
from services.signaling.starting import StartRequest
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    GROUP_TALK,
    PHONE,
    TABLET,
    TALK,
    TIMEOUTS,
    WORKER,
    FakeMembers,
    World,
)

BOT = UserId("bot")
EVERYTHING = Server("demo", frozenset(), None)
OF_BOT = Server("bot", frozenset(), frozenset({BOT}))


class Office(World):
    """A group with a bot in it, Alice its admin, and a server that may act as everybody."""

    def __init__(self) -> None:
        members = FakeMembers({TALK: [ALICE, BOB], GROUP_TALK: [BOT, ALICE, BOB, CAROL]}, admins={ALICE})
        super().__init__(members)
        self.accounts = Accounts(self.clock, 3600)
        service = self.service
        self.office = BackOffice(
            self.store, self.changes, service.starter, service.roster, self.members, self.links, self.accounts
        )

    async def ring(
        self, account: UserId = BOT, key: str = "k", talk: ConversationId = GROUP_TALK, server: Server = OF_BOT
    ) -> Call:
        request = StartRequest(account, DeviceId(""), talk, video=True, client_call_id=key)
        return await self.office.start_call(server, request)


@pytest.fixture
def world() -> Office:
    return Office()


def states(call: Call) -> dict[UserId, LegState]:
    return {leg.user_id: leg.state for leg in call.legs}


async def test_a_servers_call_rings_the_group_with_nobody_in_it_and_the_first_who_answers_is(world: Office) -> None:
    call = await world.ring()
    rung = dict.fromkeys((ALICE, BOB, CAROL), LegState.RINGING)
    assert states(call) == {BOT: LegState.NOT_IN_CALL, **rung}
    assert (call.caller_id, call.state, call.busy_user_ids) == (BOT, CallState.RINGING, (ALICE, BOB, CAROL))
    answered, grant = await world.service.accept_call(call.call_id, BOB, TABLET)
    assert answered.state is CallState.ACTIVE
    assert grant is not None


async def test_a_retry_gets_the_call_and_another_request_the_one_that_runs(world: Office) -> None:
    call = await world.ring()
    assert await world.ring() == call
    assert await world.ring(key="another") == call
    ended = await world.office.end_call(OF_BOT, BOT, call.call_id)
    # What stood for the call that ran already stands for it for good.
    assert await world.ring(key="another") == ended
    assert (await world.ring(key="third")).call_id != call.call_id


async def test_nobody_answers_and_it_is_missed(world: Office) -> None:
    call = await world.ring()
    world.advance_with(WORKER, int(TIMEOUTS.ring_s))
    await world.upkeep.tick(call.call_id)
    found = await world.store.find(call.call_id)
    assert found is not None
    assert found.end_reason is EndReason.MISSED


async def test_while_nobody_is_in_it_members_come_and_go_and_it_rings_on(world: Office) -> None:
    call = await world.ring()
    world.members.conversations[GROUP_TALK] = [BOT, ALICE, BOB, DAVE]
    await world.service.roster.sync_call_of_group(GROUP_TALK)
    found = await world.store.find(call.call_id)
    assert found is not None
    assert (found.state, states(found)[CAROL], states(found)[DAVE]) == (
        CallState.RINGING,
        LegState.GONE,
        LegState.NOT_IN_CALL,
    )
    removed = await world.service.remove_participant(call.call_id, ALICE, BOB)
    assert (removed.state, states(removed)[BOB]) == (CallState.RINGING, LegState.REMOVED)


async def test_that_the_account_is_in_another_call_does_not_matter(world: Office) -> None:
    other = await world.start(ALICE, PHONE, talk=TALK)
    call = await world.ring(ALICE, server=EVERYTHING)
    assert states(call)[ALICE] is LegState.NOT_IN_CALL
    assert (await world.store.find_busy_with(ALICE)) == other


async def test_what_keeps_a_user_from_calling_keeps_a_server(world: Office) -> None:
    with pytest.raises(ConversationNotFound):
        await world.ring(DAVE, server=EVERYTHING)
    with pytest.raises(NotGroupCall):
        await world.ring(ALICE, talk=TALK, server=EVERYTHING)
    world.members.frozen.add(GROUP_TALK)
    with pytest.raises(CallNotAllowed):
        await world.ring()
    world.members.frozen.clear()
    starter = replace(world.service.starter, policy=StartPolicy(4, RatePolicy(max_calls=1)))
    office = replace(world.office, starter=starter)
    request = StartRequest(BOT, DeviceId(""), GROUP_TALK, video=True, client_call_id="k")
    call = await office.start_call(OF_BOT, request)
    await office.end_call(OF_BOT, BOT, call.call_id)
    with pytest.raises(CallRate):
        await office.start_call(OF_BOT, replace(request, client_call_id="another"))


async def test_a_key_acts_as_its_accounts_alone_and_as_none_only_with_all(world: Office) -> None:
    call = await world.ring()
    with pytest.raises(CallerNotAllowed):
        await world.ring(ALICE)
    for account in (ALICE, None):
        with pytest.raises(CallerNotAllowed):
            await world.office.end_call(OF_BOT, account, call.call_id)
        with pytest.raises(CallerNotAllowed):
            await world.office.list_calls(OF_BOT, account, GROUP_TALK)


async def test_a_deleted_account_does_nothing(world: Office) -> None:
    call = await world.ring()
    world.accounts.note(BOT, Standing(deleted=True))
    with pytest.raises(AccountDeleted):
        await world.ring(key="another")
    with pytest.raises(AccountDeleted):
        await world.office.end_call(OF_BOT, BOT, call.call_id)
    with pytest.raises(AccountDeleted):
        await world.office.list_calls(OF_BOT, BOT, GROUP_TALK)


@pytest.mark.parametrize(("account", "ends"), [(BOT, True), (ALICE, True), (None, True), (BOB, False), (DAVE, None)])
async def test_who_placed_it_an_admin_and_the_network_end_a_groups_call(
    world: Office, account: UserId | None, ends: bool | None
) -> None:
    call = await world.ring()
    await world.service.accept_call(call.call_id, BOB, TABLET)
    if ends:
        for _ in range(2):
            ended = await world.office.end_call(EVERYTHING, account, call.call_id)
            assert (ended.state, ended.end_reason) == (CallState.ENDED, EndReason.HUNG_UP)
        assert world.closer.closed == [(WORKER, call.call_id)]
        return
    with pytest.raises(CallNotFound if ends is None else NotAdmin):
        await world.office.end_call(EVERYTHING, account, call.call_id)


async def test_a_call_of_two_is_ended_by_either_and_by_the_network(world: Office) -> None:
    for account, reason in ((BOB, EndReason.CANCELLED), (None, EndReason.HUNG_UP)):
        call = await world.start(key=str(account))
        if account is None:
            await world.service.accept_call(call.call_id, BOB, TABLET)
        with pytest.raises(CallNotFound):
            await world.office.end_call(EVERYTHING, CAROL, call.call_id)
        assert (await world.office.end_call(EVERYTHING, account, call.call_id)).end_reason is reason


async def test_calls_that_run_are_listed_to_who_is_in_the_conversation(world: Office) -> None:
    assert await world.office.list_calls(EVERYTHING, None, TALK) == []
    direct, group = await world.start(), await world.ring()
    assert await world.office.list_calls(EVERYTHING, None, TALK) == [direct]
    assert await world.office.list_calls(EVERYTHING, BOB, TALK) == [direct]
    assert await world.office.list_calls(OF_BOT, BOT, GROUP_TALK) == [group]
    for account, talk in ((BOT, TALK), (DAVE, GROUP_TALK), (None, ConversationId("nowhere"))):
        with pytest.raises(ConversationNotFound):
            await world.office.list_calls(EVERYTHING, account, talk)
    await world.office.end_call(OF_BOT, BOT, group.call_id)
    assert await world.office.list_calls(OF_BOT, BOT, GROUP_TALK) == []


@pytest.mark.parametrize("reason", ["", " ", "x" * 201, "a\nb"])
def test_a_reason_is_one_line_that_says_something(reason: str) -> None:
    with pytest.raises(InvalidRequest):
        check_reason(reason)
    assert check_reason("spam") == "spam"
