"""What people have written and not sent is on all of their devices, and with nobody else."""

from datetime import timedelta

import pytest

from services.messaging.drafts.core import WantedDraft, write
from services.messaging.drafts.service import Drafts
from services.messaging.kernel.errors import ConversationNotFound, InvalidField
from services.messaging.kernel.model import ConversationId
from services.runtime.ids import new_id
from tests.support.drafts import MemoryDrafts
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group

HOUR = timedelta(hours=1)


class Written:
    """A world of messaging with drafts."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = MemoryDrafts(world.store)
        self.drafts = Drafts(self.store, world.clock, text_chars=20)

    async def texts(self) -> list[str]:
        found, _ = await self.drafts.list_own(ALICE, 0, "")
        return [each.text for each in found]


@pytest.fixture
def written(world: World) -> Written:
    return Written(world)


async def test_the_last_one_to_write_wins_and_what_is_so_already_is_told_once(written: Written) -> None:
    conversation = await written.world.conversation()
    first = await written.drafts.set_draft(ALICE, conversation, "half a", 0)
    assert await written.drafts.set_draft(ALICE, conversation, "half a", 0) == first
    second = await written.drafts.set_draft(ALICE, conversation, "half a thought", 3)
    assert await written.texts() == ["half a thought"]
    assert (await written.drafts.list_own(BOB, 0, ""))[0] == []
    assert written.store.told == [first, second]
    assert second.revision > first.revision


@pytest.mark.parametrize("empty", ["", " \n "])
async def test_an_empty_text_takes_it_away_and_what_is_written_then_is_newer(written: Written, empty: str) -> None:
    conversation = await written.world.conversation()
    for text in ("one", empty, empty, "two"):
        written.world.clock.advance(0.01)
        await written.drafts.set_draft(ALICE, conversation, text, 1)
    assert [(each.text, each.reply_to_seq) for each in written.store.told] == [("one", 1), ("", 0), ("two", 1)]
    revisions = [each.revision for each in written.store.told]
    assert revisions == sorted(set(revisions))


async def test_a_draft_is_of_a_conversation_that_one_is_in_and_no_longer_than_a_message(written: Written) -> None:
    conversation = await written.world.conversation()
    with pytest.raises(ConversationNotFound):
        await written.drafts.set_draft(MALLORY, conversation, "hello", 0)
    for text, reply in (("x" * 21, 0), ("a\x00b", 0), ("hello", -1)):
        with pytest.raises(InvalidField):
            await written.drafts.set_draft(ALICE, conversation, text, reply)
    assert await written.texts() == []


async def test_where_messages_vanish_a_draft_goes_so_long_after_its_last_change(written: Written) -> None:
    world, conversation = written.world, await written.world.conversation()
    await written.drafts.set_draft(ALICE, conversation, "stays", 0)
    trip = await group(world, BOB)
    await world.vanishing.set_vanishing(ALICE, trip, HOUR)
    await written.drafts.set_draft(ALICE, trip, "goes", 0)
    world.clock.advance(1_800)
    later = await written.drafts.set_draft(ALICE, trip, "goes later", 0)
    assert later.expires_at == world.clock.now() + HOUR
    world.clock.advance(1_801)
    assert sorted(await written.texts()) == ["goes later", "stays"]
    world.clock.advance(1_800)
    assert await written.texts() == ["stays"], "whether or not it was swept"
    await written.drafts.sweep()
    assert await written.store.sweep(world.clock.now(), 10) == 0
    again = await written.drafts.set_draft(ALICE, trip, "anew", 0)
    assert again.revision > later.revision


async def test_pages_hold_all_of_them(written: Written) -> None:
    texts = []
    for number in range(5):
        trip = await group(written.world, BOB, key=f"g{number}")
        texts.append((await written.drafts.set_draft(ALICE, trip, f"text {number}", 0)).text)
    found, token = [], ""
    for _ in range(3):
        page, token = await written.drafts.list_own(ALICE, 2, token)
        found += [each.text for each in page]
    assert (sorted(found), token) == (texts, "")


def test_a_revision_rises_also_where_the_clock_stands_or_went_back(world: World) -> None:
    place = (ALICE, ConversationId(new_id(world.clock.now())))
    one = write(None, place, WantedDraft("one"), world.clock.now(), None)
    assert one is not None
    world.clock.step(-3600)
    two = write(one, place, WantedDraft("two"), world.clock.now(), None)
    assert two is not None
    assert two.revision == one.revision + 1
