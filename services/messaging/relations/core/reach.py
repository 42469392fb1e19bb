"""Whether one person may reach another. What that depends on is a Relationship; the answers are one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from services.messaging.kernel.errors import InvalidField, NotAllowed
from services.messaging.kernel.model import Conversation, UserId
from services.messaging.kernel.request import RequestState


class Audience(Enum):
    """To whom a person is open."""

    EVERYONE = "everyone"
    # People whom the person follows.
    FOLLOWED = "followed"
    VERIFIED = "verified"
    NOBODY = "nobody"
    # People whom the person has written to.
    CONTACTED = "contacted"


@dataclass(frozen=True)
class Settings:
    """A person's settings; these are the ones of who never made any."""

    messages: Audience = Audience.EVERYONE
    presence: Audience = Audience.EVERYONE
    calls: Audience = Audience.EVERYONE
    send_receipts: bool = True


@dataclass(frozen=True)
class SettingsChange:
    """What is to be changed; None leaves it."""

    messages: Audience | None = None
    presence: Audience | None = None
    calls: Audience | None = None
    send_receipts: bool | None = None


# By the field of the request: what a setting can be.
CHOICES: Mapping[str, frozenset[Audience]] = {
    "message_audience": frozenset(Audience) - {Audience.CONTACTED},
    "presence_audience": frozenset({Audience.EVERYONE, Audience.FOLLOWED, Audience.NOBODY}),
    "call_audience": frozenset(Audience),
}


def check_change(change: SettingsChange) -> SettingsChange:
    """The change unchanged. Raises InvalidField for an audience that the setting cannot have."""
    wanted = {"message_audience": change.messages, "presence_audience": change.presence, "call_audience": change.calls}
    for field, audience in wanted.items():
        if audience is not None and audience not in CHOICES[field]:
            raise InvalidField(field, f"cannot be {audience.name}")
    return change


def apply_change(settings: Settings, change: SettingsChange) -> Settings:
    """The settings afterwards."""
    return Settings(
        messages=change.messages or settings.messages,
        presence=change.presence or settings.presence,
        calls=change.calls or settings.calls,
        send_receipts=settings.send_receipts if change.send_receipts is None else change.send_receipts,
    )


@dataclass(frozen=True)
class Relationship:
    """What decides how far one person lets another reach them."""

    settings: Settings = Settings()
    # Either of the two blocked the other, in Parley or in the network.
    blocked: bool = False
    # The person follows the other.
    follows: bool = False
    # The other is verified.
    verified: bool = False
    # The person let the direct conversation of the two in.
    let_in: bool = False
    # The person has written in it.
    contacted: bool = False
    # So many conversations to which the other invited wait with the person, or were declined.
    unanswered: int = 0


# Conversations of one asker that one person is asked to let in. Raising it lets somebody who makes group after group
# say more to a person who does not answer; lowering it refuses friends of friends who plan several things.
MAX_UNANSWERED = 3

_OPEN: Mapping[Audience, Callable[[Relationship], bool]] = {
    Audience.EVERYONE: lambda _: True,
    Audience.FOLLOWED: lambda relationship: relationship.follows,
    Audience.VERIFIED: lambda relationship: relationship.verified,
    Audience.NOBODY: lambda _: False,
    Audience.CONTACTED: lambda relationship: relationship.contacted,
}


def admit(relationship: Relationship) -> RequestState | None:
    """How a conversation to which the other invites stands with the person; None when the other cannot invite."""
    if relationship.blocked or relationship.settings.messages is Audience.NOBODY:
        return None
    # Who let the other in before lets the other write, whatever the setting became since.
    if relationship.let_in or _OPEN[relationship.settings.messages](relationship):
        return RequestState.ACCEPTED
    return RequestState.PENDING if relationship.unanswered < MAX_UNANSWERED else None


def may_ring(relationship: Relationship) -> bool:
    """Whether a call of the other may ring the person, once both let the conversation in."""
    return not relationship.blocked and _OPEN[relationship.settings.calls](relationship)


def see_each_other(one: Relationship, other: Relationship) -> bool:
    """Whether two people who share a conversation see each other's presence: who hides sees nobody."""
    shown = all(_OPEN[relationship.settings.presence](relationship) for relationship in (one, other))
    return shown and not one.blocked and not other.blocked


def invite(conversation: Conversation, actor: UserId, relationship: Relationship) -> Conversation:
    """A new direct conversation as its actor may open it with the other member. Raises NotAllowed."""
    request = admit(relationship)
    if request is None:
        raise NotAllowed
    members = tuple(
        member if member.user_id == actor else replace(member, request=request, added_by=actor)
        for member in conversation.members
    )
    return replace(conversation, members=members)
