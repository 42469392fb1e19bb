"""One token for everything that a device was told of an account, and the pages between two such tokens.

Every change has a position: the id of its transaction. The token of a device that has caught up says "all below this
position was sent"; it is the oldest id that was still running when the token was made, so that what commits late is
found above it. A walk goes from there upwards, ordered by (position, conversation), and its last page reaches up to the
present: also what changed since its first page is sent, so that a device may stop between two pages and go on another
day with the same token. It ends as soon as less has changed than a page holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from services.messaging.kernel.errors import SyncTokenUnknown
from services.messaging.kernel.model import ConversationId, Delta
from services.messaging.kernel.weighing import weigh_delta

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
class SyncToken:
    """Where a device stands: it was told of all up to `mark`, except for what was still running below it.

    `begun_at`: of a device that began with nothing and never caught up: the oldest id that was running then. What it
    does not have needs no forgetting, and how its conversations stand it hears with each of them; so departures, read
    cursors and own states count from there on. 0 for every other device.
    `horizon`: of a walk that went above an id that was still running: the oldest such. The next walk begins there.
    """

    epoch: UUID
    mark: Mark
    begun_at: int = 0
    horizon: int | None = None


@dataclass(frozen=True)
class Step:
    """One conversation of a walk. With neither a delta nor `gone`, this page tells it among the named ones."""

    mark: Mark
    delta: Delta | None = None
    gone: bool = False


@dataclass(frozen=True)
class AccountPage:
    """What a store found: of the conversations that the device named, then of the walk that goes on from the token.

    `oldest_running`: of the snapshot that the page was read from.
    """

    token: SyncToken
    oldest_running: int
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
    """The token to walk on from; None walks over everything.

    Raises SyncTokenUnknown for a token of another epoch, or of a time that has not come here.
    """
    if token is None:
        return SyncToken(snapshot.epoch, Mark(-1, _LAST_ID), begun_at=snapshot.oldest_running)
    newest_id = max(token.mark.position, token.begun_at - 1, (token.horizon or 0) - 1)
    if token.epoch != snapshot.epoch or newest_id >= snapshot.next_id:
        raise SyncTokenUnknown
    return token


def cut_page(page: AccountPage, max_bytes: int) -> AccountCatchup:
    """As much of a page as fits, at least one conversation of it."""
    deltas: list[Delta] = []
    gone = list(page.named_gone)
    weight = 0
    for named in page.named:
        weight += weigh_delta(named)
        if deltas and weight > max_bytes:
            return AccountCatchup(deltas, gone, page.token, True)
        deltas.append(named)
    if page.named_has_more:
        return AccountCatchup(deltas, gone, page.token, True)
    token = page.token
    # One that changed and moved stands at two marks; once is enough.
    last = {step.mark.conversation_id: step for step in page.steps}
    for step in page.steps:
        delta = step.delta if last[step.mark.conversation_id] is step else None
        weight += weigh_delta(delta) if delta else 0
        if delta and deltas and weight > max_bytes:
            return AccountCatchup(deltas, gone, token, True)
        if delta:
            deltas.append(delta)
        if step.gone:
            gone.append(step.mark.conversation_id)
        token = _walked(token, step.mark, page.oldest_running)
    return AccountCatchup(deltas, gone, token if page.has_more else _caught_up(token, page), page.has_more)


def _walked(token: SyncToken, mark: Mark, oldest_running: int) -> SyncToken:
    """The token a step on. What runs below the mark may still commit there: the first such id is kept."""
    if mark.position >= oldest_running and token.horizon is None:
        return replace(token, mark=mark, horizon=oldest_running)
    return replace(token, mark=mark)


def _caught_up(token: SyncToken, page: AccountPage) -> SyncToken:
    decided = page.oldest_running if token.horizon is None else token.horizon
    return SyncToken(token.epoch, Mark(decided - 1, _LAST_ID))
