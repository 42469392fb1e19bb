"""What one device is sent, so that it shows what is wanted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.push.core.model import (
    Notice,
    NoticeKind,
    Provider,
    Settings,
    Thread,
    ThreadKey,
    Token,
    is_call,
)

# How long a notice waits while the person is at some device, where they may read it first. Raising it makes fewer
# notices of what is read at once; lowering it tells the other devices sooner.
ATTENDED_WAIT_S = 10.0
# How long a provider keeps a notice for a device that is off. Raising it tells of older things when it comes back;
# lowering it leaves more to what the app asks by itself.
KEEP_S = 4 * 7 * 86_400
# The same for what is taken back. Raising it wakes a device for old news; lowering it leaves a notice that was read
# elsewhere.
TAKE_BACK_KEEP_S = 86_400


@dataclass(frozen=True)
class Shown:
    """What a device was last sent of a thread."""

    version: int = 0
    # It may show a notice: one was sent, or an attempt has begun.
    is_up: bool = False


@dataclass(frozen=True)
class Notify:
    """Show this, in place of what the thread shows. `notice` holds no more than this device may be told."""

    key: ThreadKey
    version: int
    notice: Notice
    badge: int
    # Until when the provider keeps it.
    expire_time: datetime


@dataclass(frozen=True)
class TakeBack:
    """Show nothing of the thread any more."""

    key: ThreadKey
    version: int
    badge: int
    # Of a ringing call: as soon as it can be.
    is_urgent: bool = False


Effect = Notify | TakeBack


def receivers(key: ThreadKey, tokens: Iterable[Token]) -> list[Token]:
    """The tokens by which a thread is told: each device once. A ring comes to an Apple device by VoIP, where it has
    such a token; all else never does."""
    tokens = list(tokens)
    voip = {token.device_id for token in tokens if token.provider is Provider.APNS_VOIP}
    if not is_call(key):
        return [token for token in tokens if token.provider is not Provider.APNS_VOIP]
    return [token for token in tokens if not (token.provider is Provider.APNS and token.device_id in voip)]


def due_after_s(thread: Thread, *, is_attended: bool) -> float:
    """How long until devices are told of a thread that changed. What is taken back, and a ring, never wait."""
    waits = is_attended and thread.notice is not None and thread.notice.kind is not NoticeKind.CALL
    return ATTENDED_WAIT_S if waits else 0.0


def effect(thread: Thread, shown: Shown, token: Token, settings: Settings, badge: int, now: datetime) -> Effect | None:
    """What to send to a device now; None when it shows what it should."""
    if shown.version >= thread.version:
        return None
    notice = thread.notice
    if notice is None:
        # A device that was woken for a call must show one (APNs, VoIP): there is no way to take that back.
        if not shown.is_up or token.provider is Provider.APNS_VOIP:
            return None
        return TakeBack(thread.key, thread.version, badge, is_urgent=is_call(thread.key))
    if notice.expire_time is not None and now >= notice.expire_time:
        return None
    return Notify(
        thread.key,
        thread.version,
        _as_wanted(notice, settings, now),
        badge,
        notice.expire_time or now + timedelta(seconds=KEEP_S),
    )


def ttl_s(sent: Effect, now_s: float) -> int:
    """How many seconds a provider keeps it for a device that is off. `now_s`: Unix time."""
    if isinstance(sent, TakeBack):
        return TAKE_BACK_KEEP_S
    return max(0, min(KEEP_S, int(sent.expire_time.timestamp() - now_s)))


def badge(threads: Sequence[Thread]) -> int:
    """The number on the app's icon, the same on all devices."""
    return sum(thread.badge for thread in threads)


def _as_wanted(notice: Notice, settings: Settings, now: datetime) -> Notice:
    if notice.kind is NoticeKind.CALL:
        # Who calls is on the screen whatever was chosen, and calls have quiet hours of their own (signaling).
        return notice
    is_quiet = notice.is_quiet or settings.is_quiet(now)
    if settings.previews:
        return replace(notice, is_quiet=is_quiet)
    return replace(notice, is_quiet=is_quiet, text="", title="", from_user_id="")
