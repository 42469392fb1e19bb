"""What depends on somebody who has left, over the store in memory: tests/support/messaging_departure_rules.py."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product

import pytest

from services.messaging.attachments.core.uploads import UploadPolicy
from services.messaging.attachments.service.attachments import Attachments, UploadRequest
from services.messaging.groups.service import GroupLimits, GroupRequest, Groups
from services.messaging.kernel.content import Mention, Text
from services.messaging.kernel.errors import (
    ConversationNotFound,
    InvalidField,
    InviteNotFound,
)
from services.messaging.kernel.model import Role, UserId
from services.messaging.messages.service.requests import MessageLimits, TextRequest
from services.runtime.ids import new_id, new_secret
from tests.support.messaging_cases import Cases
from tests.support.messaging_departure_rules import CELLS, RULES
from tests.support.messaging_departures import (
    ACTIONS,
    CAROL,
    DAN,
    EVENTS,
    MINE,
    Town,
    he_is_removed,
    outcome,
    settle,
    words,
)
from tests.support.messaging_world import ALICE, BOB, World, at_work


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with at_work(World()) as world:
        yield await settle(world)


def test_every_cell_is_stated() -> None:
    assert list(CELLS) == list(ACTIONS)
    assert {len(row) for row in CELLS.values()} == {len(EVENTS)}
    assert {rule for row in CELLS.values() for rule in row} == set(RULES)


@pytest.mark.parametrize(("action", "event"), list(product(ACTIONS, EVENTS)))
async def test_what_is_pending_meets_who_has_left(town: Town, action: str, event: str) -> None:
    expected, reason = RULES[CELLS[action][list(EVENTS).index(event)]]
    await EVENTS[event](town)
    assert await outcome(town, action) == expected, reason


async def test_who_is_out_learns_of_nothing_that_came_after(town: Town) -> None:
    await town.world.changing.set_reaction(ALICE, town.group, 6, "👍", present=True)
    await he_is_removed(town)
    again = await town.world.sending.send(BOB, town.group, TextRequest("k", words()))
    assert again == replace(again, reactions=())
    founded = await town.world.groups.create_group(BOB, GroupRequest("own", "Own", [CAROL], "", False))
    assert (founded.members, founded.title, founded.last_seq) == ((), "", 0)


async def test_retries_get_their_first_results_when_the_limits_have_changed(town: Town) -> None:
    world = town.world
    upload, _ = await world.attachments.create_upload(BOB, UploadRequest("f", "a.png", "image/png", 80))
    world.objects.receive(upload)
    filed = TextRequest("file", Text("a file"), attachment_ids=[str(upload.attachment.id)])
    first = await world.sending.send(BOB, town.group, filed)
    policy = UploadPolicy(types=frozenset({"image/gif"}), per_message=0, max_bytes=1)
    attachments = Attachments(world.uploads, world.store, world.store, world.objects, world.clock, new_id, policy)
    limits = MessageLimits(text_chars=1)
    stores = (world.store, world.sends, world.rates, world.clock, new_id)
    cases = Cases(*stores, limits, attachments)
    groups = Groups(
        *(
            world.store,
            world.store,
            world.store,
            world.store.relations,
            world.store.relations,
            world.rates,
            world.clock,
        ),
        *(new_id, new_secret, GroupLimits(members=1, new_conversations_per_day=0)),
    )
    assert (await cases.sending.send(BOB, town.group, filed)).id == first.id
    assert (await cases.changing.edit_message(BOB, town.group, MINE["group"], words(mention=True))).seq == MINE["group"]
    again = await groups.create_group(BOB, GroupRequest("own", "Own", [CAROL], "", False))
    assert str(again.id) == town.own
    announced, _ = await attachments.create_upload(BOB, UploadRequest("f", "a.png", "image/png", 80))
    assert announced.attachment == upload.attachment
    with pytest.raises(InvalidField):
        await cases.sending.send(BOB, town.group, TextRequest("other", Text("too long")))


@pytest.mark.parametrize("event", ["revoked", "replaced", "expired"])
async def test_who_came_in_by_an_invite_may_ask_again_when_it_has_ended(town: Town, event: str) -> None:
    if event == "expired":
        town.world.clock.advance(8 * 86_400)
    elif event == "revoked":
        await town.world.groups.revoke_invites(ALICE, town.group)
    else:
        await town.world.groups.create_invite(ALICE, town.group)
    assert str((await town.world.groups.join_by_invite(BOB, town.invite)).id) == town.group
    with pytest.raises(InviteNotFound):
        await town.world.groups.join_by_invite(DAN, town.invite)


async def test_who_handed_a_group_over_may_ask_again(town: Town) -> None:
    handed = await town.world.groups.set_role(BOB, town.own, ALICE, Role.OWNER)
    assert await town.world.groups.set_role(BOB, town.own, ALICE, Role.OWNER) == handed


async def test_a_stranger_learns_by_no_mention_who_is_in(town: Town) -> None:
    for person in (CAROL, DAN):
        request = TextRequest("k", Text("hi @x", (Mention(3, 2, person),)))
        with pytest.raises(ConversationNotFound):
            await town.world.sending.send(UserId("mallory"), town.group, request)
