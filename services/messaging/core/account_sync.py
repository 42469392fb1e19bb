"""One token for everything that a device was told of an account, and the pages between two such tokens.

Every change has a position: the id of its transaction. A token at rest says "all below this position was told"; it is
the oldest id that was still running when the token was made, so that what commits late is found above it. A walk goes
from there up to what was the next id when it began, ordered by (position, conversation): it ends however much happens
meanwhile, and what happens meanwhile is for the next walk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from services.messaging.core.errors import SyncTokenUnknown
from services.messaging.core.model import ConversationId, Delta
from services.messaging.core.weighing import weigh_delta

_LAST_ID = ConversationId(UUID(int=2**128 - 1))


@dataclass(frozen=True, order=True)
class Mark:
    """A place in the order of a walk; a page begins above it."""

    position: int
    conversation_id: ConversationId


@dataclass(frozen=True)
class Snapshot:
    """What a transaction sees: every id below `oldest_running` is decided, none from `next_id` on has begun."""

    epoch: UUID
    oldest_running: int
    next_id: int


@dataclass(frozen=True)
class Walk:
    """A walk goes up to `until`, without it; a device that took it in was told all below `horizon`."""

    until: int
    horizon: int


@dataclass(frozen=True)
class SyncToken:
    """Where a device stands, at rest or in a walk. `is_first`: it never stood at rest; there is nothing to forget."""

    epoch: UUID
    mark: Mark
    is_first: bool = False
    walk: Walk | None = None


@dataclass(frozen=True)
class Step:
    """One conversation of a walk. With neither a delta nor `gone`, the device has all of it already."""

    mark: Mark
    delta: Delta | None = None
    gone: bool = False


@dataclass(frozen=True)
class AccountPage:
    """What a store found: of the conversations that the device named, then of the walk. The token is in a walk."""

    token: SyncToken
    named: Sequence[Delta]
    named_gone: Sequence[ConversationId]
    named_has_more: bool
    steps: Sequence[Step]
    has_more: bool


@dataclass(frozen=True)
class AccountCatchup:
    """What a device is told: a page, and the token that it sends the next time."""

    deltas: Sequence[Delta]
    gone: Sequence[ConversationId]
    token: SyncToken
    has_more: bool


def token_at(snapshot: Snapshot) -> SyncToken:
    """Of a device that has everything that this snapshot shows."""
    return SyncToken(snapshot.epoch, Mark(snapshot.oldest_running - 1, _LAST_ID))


def begin_walk(token: SyncToken | None, snapshot: Snapshot) -> SyncToken:
    """The token in its walk, begun now or before; None walks over everything.

    Raises SyncTokenUnknown for a token of another epoch, or of a time that has not come here.
    """
    if token is None:
        token = SyncToken(snapshot.epoch, Mark(-1, _LAST_ID), is_first=True)
    heard_of = max(token.mark.position, token.walk.until - 1 if token.walk else 0)
    if token.epoch != snapshot.epoch or heard_of >= snapshot.next_id:
        raise SyncTokenUnknown
    if token.walk is not None:
        return token
    return replace(token, walk=Walk(snapshot.next_id, snapshot.oldest_running))


def cut_page(page: AccountPage, max_bytes: int) -> AccountCatchup:
    """As much of a page as fits, at least one conversation of it."""
    deltas: list[Delta] = []
    gone = list(page.named_gone)
    weight = 0
    for delta in page.named:
        weight += weigh_delta(delta)
        if deltas and weight > max_bytes:
            return AccountCatchup(deltas, gone, page.token, True)
        deltas.append(delta)
    if page.named_has_more:
        return AccountCatchup(deltas, gone, page.token, True)
    token = page.token
    for step in page.steps:
        weight += weigh_delta(step.delta) if step.delta else 0
        if step.delta and deltas and weight > max_bytes:
            return AccountCatchup(deltas, gone, token, True)
        if step.delta:
            deltas.append(step.delta)
        if step.gone:
            gone.append(step.mark.conversation_id)
        token = replace(token, mark=step.mark)
    return AccountCatchup(deltas, gone, token if page.has_more else _at_rest(token), page.has_more)


def _at_rest(token: SyncToken) -> SyncToken:
    if token.walk is None:
        return token
    return SyncToken(token.epoch, Mark(token.walk.horizon - 1, _LAST_ID))
