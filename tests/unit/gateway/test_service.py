import pytest

from services.gateway.core.errors import ConversationNotFound, TypingTooOften
from services.gateway.core.model import RouteStatus, UserId
from tests.unit.gateway.world import GatewayWorld


async def test_typing_is_told_to_the_other_members_alone() -> None:
    world = GatewayWorld()
    world.membership.conversations["c1"] = {UserId("alice"), UserId("bob"), UserId("carol")}
    await world.gateway.set_typing("alice", "c1", True)
    assert sorted(world.typed()) == ["bob", "carol"]


async def test_typing_in_a_conversation_of_others_is_not_found() -> None:
    world = GatewayWorld()
    world.membership.conversations["c1"] = {UserId("bob")}
    with pytest.raises(ConversationNotFound):
        await world.gateway.set_typing("alice", "c1", True)
    assert world.typed() == []


async def test_a_typing_flood_is_refused_and_reaches_nobody() -> None:
    world = GatewayWorld()
    world.membership.conversations["c1"] = {UserId("alice"), UserId("bob")}
    refusals = 0
    for _ in range(100):
        try:
            await world.gateway.set_typing("alice", "c1", True)
        except TypingTooOften:
            refusals += 1
    assert (refusals, len(world.typed())) == (97, 3)


async def test_a_status_goes_to_the_owner_of_the_user_and_is_repeated_to_the_next() -> None:
    world = GatewayWorld()
    await world.gateway.set_status("alice", "phone-01", True)
    assert world.presence.frames[-1] == RouteStatus(UserId("alice"), "phone-01", True)  # type: ignore[arg-type]
