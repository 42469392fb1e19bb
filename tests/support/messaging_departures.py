"""What depends on somebody who has left: what may happen, and what may be done before or after it.

Bob acts. Carol is the other one: she is in Bob's group, in Alice's group, which Bob joined by her invite, and has a
direct conversation with him. What happens happens in all three. What comes of it: messaging_departure_rules.py.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.messaging.attachments.core.uploads import Upload
from services.messaging.attachments.service.attachments import UploadRequest
from services.messaging.groups.core.changes import Settings
from services.messaging.groups.service import GroupRequest
from services.messaging.kernel.content import CallOutcome, CallRecord, Mention, Text
from services.messaging.kernel.errors import MessagingError
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    Message,
    Role,
    UserId,
)
from services.messaging.messages.service.requests import TextRequest
from services.messaging.relations.core.reports import Reason, Report, ReportRequest
from tests.support.messaging_world import ALICE, BOB, People

CAROL, DAN = UserId("carol"), UserId("dan")
CALL = UUID(int=7)
HOUR = timedelta(hours=1)


@dataclass
class Town:
    """Where Bob was before anything happened, and what he has done."""

    world: People
    # Alice's group, in which Bob is an admin; Bob's own; the direct conversation of Bob and Carol.
    group: str
    own: str
    pair: str
    invite: str
    first: dict[str, object]


# What can be done: each gives what it answers.
def words(mention: bool = False) -> Text:
    return Text("hi @carol", (Mention(3, 6, CAROL),)) if mention else Text("hi")


def send(conversation: str, key: str, *, mention: bool = False, reply: int = 0) -> Callable[[Town], Awaitable[object]]:
    def act(town: Town) -> Awaitable[object]:
        request = TextRequest(key, words(mention), reply)
        return town.world.sending.send(BOB, getattr(town, conversation), request)

    return act


def edit(conversation: str, text: Text) -> Callable[[Town], Awaitable[object]]:
    return lambda town: town.world.changing.edit_message(BOB, getattr(town, conversation), MINE[conversation], text)


def react(conversation: str, emoji: str) -> Callable[[Town], Awaitable[object]]:
    return lambda town: town.world.changing.set_reaction(
        BOB, getattr(town, conversation), HERS[conversation], emoji, present=True
    )


def pin(conversation: str, seq: int) -> Callable[[Town], Awaitable[object]]:
    return lambda town: town.world.pins.set_pinned(BOB, getattr(town, conversation), seq, pinned=True)


def forward(source: str, seq: int, target: str, key: str) -> Callable[[Town], Awaitable[object]]:
    async def act(town: Town) -> object:
        (result,) = await town.world.forwarding.forward(BOB, getattr(town, source), seq, [(getattr(town, target), key)])
        if isinstance(result, MessagingError):
            raise result
        return result

    return act


def unsend(conversation: str, seq: int) -> Callable[[Town], Awaitable[object]]:
    return lambda town: town.world.changing.unsend_message(BOB, getattr(town, conversation), seq)


def report(key: str) -> Callable[[Town], Awaitable[object]]:
    def act(town: Town) -> Awaitable[object]:
        return town.world.reports.report(BOB, ReportRequest(key, town.group, [HERS["group"]], Reason.SPAM, ""))

    return act


async def ring(town: Town, conversation: str) -> str:
    callees = (await town.world.relations.callees_of(getattr(town, conversation), BOB)).user_ids
    return "carol" if CAROL in callees else "not carol"


async def type_in(town: Town, conversation: str) -> str:
    _, told = await town.world.relations.members_of(getattr(town, conversation), BOB)
    return "carol" if CAROL in told else "not carol"


async def watch(town: Town) -> str:
    return "carol" if await town.world.relations.filter_contacts(BOB, [CAROL]) else "not carol"


def record(conversation: str) -> Callable[[Town], Awaitable[object]]:
    def act(town: Town) -> Awaitable[object]:
        call = CallRecord(CALL, True, CallOutcome.COMPLETED, timedelta(minutes=1), (BOB, CAROL))
        return town.world.sending.record_call(ConversationId(UUID(getattr(town, conversation))), BOB, call)

    return act


async def export_parts(town: Town) -> str:
    """What an export of Bob holds of the group: what he may read there."""
    await town.world.history.list_messages(BOB, town.group, 0, 0)
    return "done"


async def add_her(town: Town) -> str:
    group = await town.world.groups.add_members(BOB, town.own, [CAROL])
    return "carol" if group.member(CAROL) else "not carol"


async def add_again_by_its_key(town: Town) -> Conversation | str:
    """Alice and Carol were added by this request; a retry brings nobody back."""
    before = await town.world.conversations.get_conversation(ALICE, town.own)
    group = await town.world.groups.add_members(BOB, town.own, [ALICE, CAROL], "a")
    return group if before == await town.world.conversations.get_conversation(ALICE, town.own) else "changed"


UPLOAD = UploadRequest("u", "a.png", "image/png", 80)
# Where things stand that were said before: see `settle`.
HERS = {"group": 5, "pair": 1}
MINE = {"group": 10, "pair": 3}
TAKEN_BACK = 9

ACTIONS: dict[str, Callable[[Town], Awaitable[object]]] = {
    "send again in the group": send("group", "k"),
    "send again with a mention": send("group", "m", mention=True),
    "send again what answers": send("group", "r", reply=5),
    "send again in the pair": send("pair", "k"),
    "edit again to the same": edit("group", words(mention=True)),
    "edit again in the pair": edit("pair", Text("hi!")),
    "react again": react("group", "👍"),
    "react again in the pair": react("pair", "👍"),
    "unsend again": unsend("group", TAKEN_BACK),
    "found again": lambda town: town.world.groups.create_group(BOB, GroupRequest("own", "Own", [CAROL], "", False)),
    "join again": lambda town: town.world.groups.join_by_invite(BOB, town.invite),
    "add again": lambda town: town.world.groups.add_members(BOB, town.own, [ALICE]),
    "join again by its key": lambda town: town.world.groups.join_by_invite(BOB, town.invite, "j"),
    "add again by its key": add_again_by_its_key,
    "remove again": lambda town: town.world.groups.remove_member(BOB, town.own, DAN),
    "name again": lambda town: town.world.groups.update_group(BOB, town.group, Settings(title="Trip")),
    "give the role again": lambda town: town.world.groups.set_role(BOB, town.own, ALICE, Role.ADMIN),
    "set vanishing again": lambda town: town.world.vanishing.set_vanishing(BOB, town.own, HOUR),
    "set vanishing again in the pair": lambda town: town.world.vanishing.set_vanishing(BOB, town.pair, HOUR),
    "pin again": pin("group", HERS["group"]),
    "pin again in the pair": pin("pair", HERS["pair"]),
    "forward again": forward("group", HERS["group"], "group", "fwd"),
    "forward again into the pair": forward("group", HERS["group"], "pair", "fwd"),
    "report again": report("k"),
    "announce a file again": lambda town: town.world.attachments.create_upload(BOB, UPLOAD),
    "open the pair again": lambda town: town.world.conversations.open_direct(BOB, CAROL),
    "send": send("group", "new"),
    "mention": send("group", "new", mention=True),
    "answer": send("group", "new", reply=5),
    "send in the pair": send("pair", "new"),
    "edit": edit("group", Text("ho")),
    "edit in the pair": edit("pair", Text("ho")),
    "react": react("group", "🙏"),
    "react in the pair": react("pair", "🙏"),
    "unsend": unsend("group", 10),
    "unsend in the pair": unsend("pair", 3),
    "add her": add_her,
    "remove her": lambda town: town.world.groups.remove_member(BOB, town.own, CAROL),
    "hand over to her": lambda town: town.world.groups.set_role(BOB, town.own, CAROL, Role.OWNER),
    "invite": lambda town: town.world.groups.create_invite(BOB, town.group),
    "report": report("new"),
    "read": lambda town: town.world.receipts.mark_read(BOB, town.group, 5),
    "deliver": lambda town: town.world.receipts.mark_delivered(BOB, [(town.group, 5)]),
    "set vanishing": lambda town: town.world.vanishing.set_vanishing(BOB, town.group, 2 * HOUR),
    "set vanishing in the pair": lambda town: town.world.vanishing.set_vanishing(BOB, town.pair, 2 * HOUR),
    "forward": forward("group", HERS["group"], "group", "new-fwd"),
    "forward into the pair": forward("pair", MINE["pair"], "pair", "new-fwd"),
    "pin": pin("group", MINE["group"]),
    "pin in the pair": pin("pair", MINE["pair"]),
    "look at the history": export_parts,
    "ring in the group": lambda town: ring(town, "group"),
    "ring in the pair": lambda town: ring(town, "pair"),
    "type in the group": lambda town: type_in(town, "group"),
    "type in the pair": lambda town: type_in(town, "pair"),
    "watch her presence": watch,
    "a call of the group ends": record("group"),
    "a call of the pair ends": record("pair"),
}
# Done before anything happens; the others are new.
DONE_BEFORE = [name for name in ACTIONS if "again" in name]


# What happens.
async def she_leaves(town: Town) -> None:
    for conversation in (town.group, town.own):
        await town.world.groups.leave_group(CAROL, conversation)


async def she_is_removed(town: Town) -> None:
    await town.world.groups.remove_member(ALICE, town.group, CAROL)
    await town.world.groups.remove_member(BOB, town.own, CAROL)


async def she_blocks_him(town: Town) -> None:
    await town.world.relations.block_user(CAROL, BOB)


async def he_blocks_her(town: Town) -> None:
    await town.world.relations.block_user(BOB, CAROL)


async def her_account_goes(town: Town) -> None:
    await town.world.delete_account(CAROL)


async def he_leaves(town: Town) -> None:
    for conversation in (town.group, town.own):
        await town.world.groups.leave_group(BOB, conversation)


async def he_is_removed(town: Town) -> None:
    await town.world.groups.remove_member(ALICE, town.group, BOB)
    await town.world.groups.set_role(BOB, town.own, ALICE, Role.OWNER)
    await town.world.groups.remove_member(ALICE, town.own, BOB)


async def he_loses_his_role(town: Town) -> None:
    await town.world.groups.set_role(ALICE, town.group, BOB, Role.MEMBER)
    await town.world.groups.set_role(BOB, town.own, ALICE, Role.OWNER)
    await town.world.groups.set_role(ALICE, town.own, BOB, Role.MEMBER)


EVENTS = {
    "she leaves": she_leaves,
    "she is removed": she_is_removed,
    "she blocks him": she_blocks_him,
    "he blocks her": he_blocks_her,
    "her account goes": her_account_goes,
    "he leaves": he_leaves,
    "he is removed": he_is_removed,
    "he loses his role": he_loses_his_role,
}


async def outcome(town: Town, action: str) -> str:
    try:
        answer = await ACTIONS[action](town)
    except MessagingError as error:
        return type(error).__name__
    if isinstance(answer, str):
        return answer
    first = town.first.get(action)
    if first is not None and identity(first) == identity(answer):
        return "first"
    return "done"


def identity(answer: object) -> object:
    match answer:
        case Message() | Conversation() | Report():
            return answer.id
        case (Upload() as upload, _):
            return upload.attachment.id
    return answer


async def settle(world: People) -> Town:
    """All of them together, and everything that Bob does again later done once."""
    groups = world.groups
    group = str((await groups.create_group(ALICE, GroupRequest("g", "Trip", [CAROL], "", False))).id)
    await groups.set_role(ALICE, group, CAROL, Role.ADMIN)
    invite, _ = await groups.create_invite(CAROL, group)
    pair = str((await world.conversations.open_direct(BOB, CAROL)).id)
    town = Town(world, group, "", pair, invite, {})
    town.first["join again"] = await groups.join_by_invite(BOB, invite)
    await groups.set_role(ALICE, group, BOB, Role.ADMIN)
    for conversation in (group, pair):
        await world.sending.send(CAROL, conversation, TextRequest("hers", Text("hello")))
    before = [
        "send again in the group",
        "send again with a mention",
        "send again what answers",
        "send again in the pair",
    ]
    for name in before:
        town.first[name] = await ACTIONS[name](town)
    await world.sending.send(BOB, group, TextRequest("taken back", Text("oh")))
    for conversation in (group, pair):
        await world.sending.send(BOB, conversation, TextRequest("mine", Text("ha")))
    founded = await groups.create_group(BOB, GroupRequest("own", "Own", [CAROL], "", False))
    town.own = str(founded.id)
    await groups.add_members(BOB, town.own, [DAN])
    for name in DONE_BEFORE:
        if name not in town.first:
            town.first[name] = await ACTIONS[name](town)
    return town
