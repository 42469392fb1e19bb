"""How a person keeps a conversation: pinned, archived, muted, marked unread."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.messaging.kernel.request import RequestState

# Unread messages are counted up to here. Raising it takes longer to count for people who were away.
MAX_UNREAD = 1_000


@dataclass(frozen=True)
class OwnState:
    """As it stands. `unread` counts what others wrote above one's read cursor, `read_seq`, up to MAX_UNREAD."""

    pinned: bool = False
    archived: bool = False
    marked_unread: bool = False
    muted_until: datetime | None = None
    unread: int = 0
    read_seq: int = 0
    request: RequestState = RequestState.ACCEPTED


@dataclass(frozen=True)
class OwnChange:
    """What is to be changed; None leaves it. A muting that is over at once takes the muting away."""

    pinned: bool | None = None
    archived: bool | None = None
    marked_unread: bool | None = None
    mute_until: datetime | None = None


def apply_own_change(state: OwnState, change: OwnChange, now: datetime) -> OwnState:
    """The state afterwards."""
    muted_until = state.muted_until
    if change.mute_until is not None:
        muted_until = change.mute_until if change.mute_until > now else None
    return replace(
        state,
        pinned=state.pinned if change.pinned is None else change.pinned,
        archived=state.archived if change.archived is None else change.archived,
        marked_unread=state.marked_unread if change.marked_unread is None else change.marked_unread,
        muted_until=muted_until,
    )
