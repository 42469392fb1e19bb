"""What may happen to a message after it was sent: edits, reactions, votes, and taking it back."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.messaging.kernel import checks
from services.messaging.kernel.content import MAX_OPTIONS, Poll, Text, Unsent, kind_of
from services.messaging.kernel.emojis import bare, qualified
from services.messaging.kernel.errors import (
    EditTooLate,
    InvalidField,
    NotEditable,
    NotTheSender,
    TooManyEdits,
    TooManyReactions,
)
from services.messaging.kernel.expiry import emptied
from services.messaging.kernel.model import Edit, Message, Reaction, UserId, Votes


@dataclass(frozen=True)
class ChangePolicy:
    """Limits of changes."""

    # Raising it lets what was read become something else later; lowering it leaves slips standing.
    edit_window: timedelta = timedelta(minutes=15)
    max_edits: int = 5
    # Different emojis on one message. Raising it makes bigger messages and events.
    max_emojis: int = 20


@dataclass(frozen=True)
class ReactionChange:
    """One person's emoji put on, or taken away."""

    user_id: UserId
    emoji: str
    present: bool


@dataclass(frozen=True)
class VoteChange:
    """One person's choice in a poll, in place of an earlier one; empty when the vote is taken back."""

    user_id: UserId
    option_indexes: frozenset[int]


@dataclass(frozen=True)
class MessageChange:
    """The message after the change, without its new revision, and what is to be written beside it."""

    after: Message
    edit: Edit | None = None
    reaction: ReactionChange | None = None
    vote: VoteChange | None = None


def edit(message: Message, user: UserId, text: Text, now: datetime, policy: ChangePolicy) -> MessageChange | None:
    """Replace the text; the former one is kept. None when it is the same already."""
    _require_sender(message, user)
    if not isinstance(message.content, Text) or message.forwarded or message.view_once:
        raise NotEditable("only texts that one wrote can be edited")
    if message.content == text:
        return None
    if now - message.sent_at > policy.edit_window:
        raise EditTooLate(f"a message can be edited for {int(policy.edit_window.total_seconds())} s")
    if message.edit_count >= policy.max_edits:
        raise TooManyEdits(f"a message can be edited {policy.max_edits} times")
    former = Edit(message.content, message.edited_at or message.sent_at)
    after = replace(message, content=text, edited_at=now, edit_count=message.edit_count + 1)
    return MessageChange(after, edit=former)


def unsend(message: Message, user: UserId) -> MessageChange | None:
    """Take it back for everyone: its place stays, nothing of its content does. None when it is unsent already."""
    _require_sender(message, user)
    if isinstance(message.content, Unsent):
        return None
    if not kind_of(message.content).can_be_unsent:
        raise NotEditable("only what a person wrote can be unsent")
    return _emptied(message)


def take_down(message: Message) -> MessageChange | None:
    """Moderation takes it away from everyone, as if its sender had: devices know no difference. None when nothing of it
    is left already."""
    kind = kind_of(message.content)
    if kind.is_gone:
        return None
    if not kind.can_be_unsent:
        raise NotEditable("only what a person wrote can be taken down")
    return _emptied(message)


def react(message: Message, user: UserId, emoji: str, policy: ChangePolicy, *, present: bool) -> MessageChange | None:
    """Put a reaction on or take it away. None when it stands so already. `emoji` is checked."""
    if not can_be_reacted_to(message):
        raise NotEditable("there is nothing to react to")
    standing = _find_reaction(message, emoji)
    spelling = standing.emoji if standing else emoji
    users = standing.user_ids if standing else ()
    if (user in users) is present:
        return None
    if present and not users and len(message.reactions) >= policy.max_emojis:
        raise TooManyReactions(f"a message has at most {policy.max_emojis} different reactions")
    change = ReactionChange(user, spelling, present)
    return MessageChange(replace(message, reactions=apply_reaction(message.reactions, change)), reaction=change)


def can_be_reacted_to(message: Message) -> bool:
    """Whether it says something, and a person said it."""
    return kind_of(message.content).is_said


def has_reacted(message: Message, user: UserId, emoji: str) -> bool:
    """Whether the user's emoji, in whatever spelling, is on the message."""
    standing = _find_reaction(message, emoji)
    return standing is not None and user in standing.user_ids


def check_reaction(message: Message, emoji: str, *, present: bool) -> str:
    """The emoji as it is kept. Raises InvalidField for what is no emoji.

    What was taken as one before, and stands on the message, can still be taken away.
    """
    standing = None if present else _find_reaction(message, emoji)
    return standing.emoji if standing else checks.check_emoji(emoji)


def apply_reaction(reactions: tuple[Reaction, ...], change: ReactionChange) -> tuple[Reaction, ...]:
    """The reactions afterwards: by emoji, and for each the people in the order of their reactions."""
    grouped = {reaction.emoji: reaction.user_ids for reaction in reactions}
    others = tuple(user for user in grouped.get(change.emoji, ()) if user != change.user_id)
    grouped[change.emoji] = (*others, change.user_id) if change.present else others
    return tuple(Reaction(emoji, users) for emoji, users in sorted(grouped.items()) if users)


def gather_reactions(put: Iterable[tuple[str, UserId]]) -> tuple[Reaction, ...]:
    """The reactions of a message from (emoji, user) in the order in which they were put: spellings of one are one."""
    grouped: dict[str, dict[UserId, None]] = {}
    spellings: dict[str, str] = {}
    for emoji, user in put:
        spellings.setdefault(bare(emoji), qualified(emoji) or emoji)
        grouped.setdefault(bare(emoji), {})[user] = None
    return tuple(
        Reaction(spelling, tuple(grouped[key])) for key, spelling in sorted(spellings.items(), key=lambda kept: kept[1])
    )


def check_choice(option_indexes: Sequence[int]) -> frozenset[int]:
    """Options of a poll, each once. Raises InvalidField for more than any poll has."""
    if len(option_indexes) > MAX_OPTIONS:
        raise InvalidField("option_indexes", f"has {len(option_indexes)} entries; at most {MAX_OPTIONS} are allowed")
    return frozenset(option_indexes)


def vote(message: Message, user: UserId, choice: frozenset[int]) -> MessageChange | None:
    """Make these options of a poll the person's choice, none of them for no vote. None when it stands so already."""
    poll = _find_poll(message)
    if poll is None:
        raise NotEditable("there is nothing to vote on")
    if not all(0 <= index < len(poll.options) for index in choice):
        raise InvalidField("option_indexes", f"must be 0 to {len(poll.options) - 1}")
    if len(choice) > 1 and not poll.multiple:
        raise InvalidField("option_indexes", "has several entries; one may be chosen")
    if choice == choice_of(message, user):
        return None
    change = VoteChange(user, choice)
    return MessageChange(replace(message, votes=apply_vote(message.votes, change)), vote=change)


def choice_of(message: Message, user: UserId) -> frozenset[int]:
    """The options that the person chose."""
    return frozenset(votes.option_index for votes in message.votes if user in votes.user_ids)


def has_voted(message: Message, user: UserId, choice: frozenset[int]) -> bool:
    """Whether it is a poll, in which the person has chosen just these options."""
    return _find_poll(message) is not None and choice == choice_of(message, user)


def apply_vote(votes: tuple[Votes, ...], change: VoteChange) -> tuple[Votes, ...]:
    """The votes afterwards. Who stays with an option keeps the place there."""
    before = {each.option_index: each.user_ids for each in votes}
    return _ordered(
        (index, _with_vote(before.get(index, ()), change.user_id, is_chosen=index in change.option_indexes))
        for index in before.keys() | change.option_indexes
    )


def gather_votes(cast: Iterable[tuple[int, UserId]]) -> tuple[Votes, ...]:
    """The votes of a message from (option, user) in the order in which they were cast."""
    grouped: dict[int, list[UserId]] = {}
    for index, user in cast:
        grouped.setdefault(index, []).append(user)
    return _ordered(grouped.items())


def _find_poll(message: Message) -> Poll | None:
    return message.content if isinstance(message.content, Poll) else None


def _with_vote(users: tuple[UserId, ...], user: UserId, *, is_chosen: bool) -> tuple[UserId, ...]:
    if is_chosen:
        return users if user in users else (*users, user)
    return tuple(other for other in users if other != user)


def _ordered(votes: Iterable[tuple[int, Collection[UserId]]]) -> tuple[Votes, ...]:
    return tuple(Votes(index, tuple(users)) for index, users in sorted(votes) if users)


def _emptied(message: Message) -> MessageChange:
    return MessageChange(emptied(message, Unsent()))


def _find_reaction(message: Message, emoji: str) -> Reaction | None:
    return next((reaction for reaction in message.reactions if bare(reaction.emoji) == bare(emoji)), None)


def _require_sender(message: Message, user: UserId) -> None:
    if message.sender_id != user:
        raise NotTheSender("only the sender may do this")
