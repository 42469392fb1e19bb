"""Whether a person is told of something, and what their devices show from then on.

A thread says what is wanted, and its version rises whenever that changes. Devices are brought there one by one
(effects.py), so whatever was overtaken meanwhile is never sent: one notice a device and conversation, the newest.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.push.core.model import (
    Facts,
    Level,
    Notice,
    NoticeKind,
    Person,
    RequestState,
    Thread,
    UserId,
)
from services.push.core.news import (
    CallRang,
    ConversationLeft,
    MessageChanged,
    MessageSent,
    OwnStateChanged,
    RingEnded,
    ScheduledCallTold,
    ThreadNews,
)

# What a thread counts at most. Raising it makes rows longer; lowering it makes the badge say less than was missed.
MAX_COUNTED = 100
# Code points of a preview. Raising it fills payloads, of which APNs takes 4 KB; lowering it cuts off sooner.
PREVIEW_CHARS = 256

# What Level.MENTIONS lets through.
_FOR_ME = frozenset({NoticeKind.MENTION, NoticeKind.REPLY, NoticeKind.MISSED_CALL})


def needs_facts(person: UserId, thread: Thread, news: ThreadNews, reactors: frozenset[UserId]) -> bool:
    """Whether messaging must be asked before this can be decided."""
    match news:
        case MessageSent():
            return news.sender_id != person and news.seq > thread.seen_seq
        case MessageChanged():
            return new_reactor(person, news, reactors) is not None
        case ScheduledCallTold():
            return news.kind is not None and news.version > thread.seen_seq
        case _:
            return False


def decide(
    person: Person, thread: Thread, news: ThreadNews, reactors: frozenset[UserId], facts: Facts, now: datetime
) -> Thread:
    """The thread afterwards. `facts` counts where `needs_facts` says so; `reactors`: who had reacted to the message
    before, as far as is known. Idempotent: news that come again change nothing."""
    return _DECISIONS[type(news)](person, thread, news, reactors, facts, now)


def recheck(thread: Thread, facts: Facts) -> Thread:
    """What still stands after the person blocked somebody, or went."""
    is_allowed = facts.is_member and not facts.is_blocked and facts.request is not RequestState.DECLINED
    return thread if is_allowed else _clear(thread)


def mark_read(thread: Thread, read_seq: int) -> Thread:
    """What stands after the person has read so far."""
    if read_seq <= thread.read_seq:
        return thread
    seqs = tuple(seq for seq in thread.seqs if seq > read_seq)
    moved = replace(thread, read_seq=read_seq, seqs=seqs)
    notice = moved.notice
    if notice is None or (notice.kind is not NoticeKind.REACTION and notice.seq > read_seq):
        return moved
    # A reaction is to something old: whoever reads on has seen it.
    return _clear(moved)


def new_reactor(person: UserId, changed: MessageChanged, reactors: frozenset[UserId]) -> UserId | None:
    """The last of those who have reacted to the person's message now for the first time."""
    if changed.sender_id != person or changed.is_gone or changed.is_edit:
        return None
    new = [reactor for reactor in changed.reactors if reactor != person and reactor not in reactors]
    return new[-1] if new else None


def _take_message(
    person: Person, thread: Thread, said: MessageSent, _: frozenset[UserId], facts: Facts, now: datetime
) -> Thread:
    if said.seq <= thread.seen_seq:
        return thread
    thread = replace(thread, seen_seq=said.seq)
    if said.sender_id == person.user_id:
        return thread
    thread = mark_read(thread, facts.read_seq)
    kind = _kind_of_message(person, said, facts, now)
    if kind is None or said.seq <= thread.read_seq:
        return thread
    seqs = (*thread.seqs, said.seq)[-MAX_COUNTED:]
    standing = thread.notice
    if kind is NoticeKind.REQUEST:
        # Once, however much a stranger writes.
        if standing is not None:
            return replace(thread, seqs=seqs)
        return _show(thread, Notice(kind, said.conversation_id, said.time, said.seq, is_quiet=True), seqs)
    notice = Notice(
        kind,
        said.conversation_id,
        said.time,
        said.seq,
        said.message_id,
        said.sender_id,
        said.text[:PREVIEW_CHARS],
        facts.title,
    )
    return _show(thread, notice, seqs)


def _kind_of_message(person: Person, said: MessageSent, facts: Facts, now: datetime) -> NoticeKind | None:
    """Why the person is told of a message; None when they are not."""
    if not facts.is_member or facts.is_blocked or facts.request is RequestState.DECLINED or _is_muted(facts, now):
        return None
    own_level = person.settings.conversations.get(said.conversation_id)
    level = own_level or person.settings.level
    if level is Level.NONE:
        return None
    if facts.request is RequestState.PENDING:
        return NoticeKind.REQUEST
    kind = NoticeKind.MESSAGE
    if said.is_missed_call:
        kind = NoticeKind.MISSED_CALL
    elif person.user_id in said.mentions:
        kind = NoticeKind.MENTION
    elif facts.is_reply_to_own:
        kind = NoticeKind.REPLY
    # Where only two talk, all is meant for the other, unless this very conversation was turned down.
    is_for_me = kind in _FOR_ME or (not facts.is_group and own_level is None)
    return kind if level is Level.ALL or is_for_me else None


def _take_change(
    person: Person, thread: Thread, changed: MessageChanged, reactors: frozenset[UserId], facts: Facts, now: datetime
) -> Thread:
    notice = thread.notice
    is_shown = notice is not None and notice.kind is not NoticeKind.REACTION and notice.seq == changed.seq
    if changed.is_gone:
        return _take_gone(thread, changed, is_shown=is_shown)
    if notice is not None and is_shown and notice.text:
        # Whoever has not been sent it yet gets the newer words; nobody is disturbed again.
        return replace(thread, notice=replace(notice, text=changed.text[:PREVIEW_CHARS]))
    reactor = new_reactor(person.user_id, changed, reactors)
    if reactor is None or not _may_react(person, changed, facts, now):
        return thread
    if notice is not None and notice.kind is not NoticeKind.REACTION:
        # What was said and not read is more.
        return thread
    return _show(
        thread,
        Notice(
            NoticeKind.REACTION,
            changed.conversation_id,
            changed.time,
            changed.seq,
            changed.message_id,
            reactor,
            title=facts.title,
            is_quiet=True,
        ),
        thread.seqs,
    )


def _may_react(person: Person, changed: MessageChanged, facts: Facts, now: datetime) -> bool:
    """Whether the person is told of a reaction: not who is there to see it."""
    level = person.settings.conversations.get(changed.conversation_id) or person.settings.level
    return (
        level is Level.ALL
        and not person.is_attended
        and facts.is_member
        and facts.request is RequestState.ACCEPTED
        and not facts.is_blocked
        and not _is_muted(facts, now)
    )


def _take_gone(thread: Thread, changed: MessageChanged, *, is_shown: bool) -> Thread:
    notice = thread.notice
    if notice is not None and notice.kind is NoticeKind.REACTION and notice.seq == changed.seq:
        return _clear(thread)
    thread = replace(thread, seqs=tuple(seq for seq in thread.seqs if seq != changed.seq))
    if notice is None or not is_shown:
        return thread
    if not thread.seqs:
        return _clear(thread)
    # The others stay noticed, without a word of the one that is gone.
    kind = NoticeKind.REQUEST if notice.kind is NoticeKind.REQUEST else NoticeKind.MESSAGE
    left = Notice(kind, notice.conversation_id, notice.time, thread.seqs[-1], title=notice.title, is_quiet=True)
    return _show(thread, left, thread.seqs)


def _take_own_state(
    _person: Person, thread: Thread, own: OwnStateChanged, _: frozenset[UserId], _facts: Facts, _now: datetime
) -> Thread:
    thread = mark_read(thread, own.read_seq)
    if thread.notice is None or thread.notice.time > own.time:
        # What came later was decided by what holds now; this is older, and comes again.
        return thread
    is_answered = thread.notice.kind is NoticeKind.REQUEST and own.request is not RequestState.PENDING
    return _clear(thread) if is_answered or own.request is RequestState.DECLINED else thread


def _take_leaving(
    _person: Person, thread: Thread, left: ConversationLeft, _: frozenset[UserId], _facts: Facts, _now: datetime
) -> Thread:
    # Who came in again since is told of what was said since.
    return thread if thread.notice is not None and thread.notice.time > left.time else _clear(thread)


def _take_ring(
    _person: Person, thread: Thread, rang: CallRang, _: frozenset[UserId], _facts: Facts, now: datetime
) -> Thread:
    """Signaling has decided who may be rung, and when; a ring comes through every level."""
    at_ms = int(rang.time.timestamp() * 1_000)
    if at_ms <= thread.seen_seq:
        return thread
    thread = replace(thread, seen_seq=at_ms)
    if now >= rang.ring_deadline:
        return thread
    notice = Notice(
        NoticeKind.CALL,
        rang.conversation_id,
        rang.time,
        from_user_id=rang.caller_id,
        call_id=rang.call_id,
        video=rang.video,
        expire_time=rang.ring_deadline,
    )
    return _show(thread, notice, ())


def _take_ring_end(
    _person: Person, thread: Thread, ended: RingEnded, _: frozenset[UserId], _facts: Facts, _now: datetime
) -> Thread:
    at_ms = int(ended.time.timestamp() * 1_000)
    if at_ms < thread.seen_seq:
        return thread
    return _clear(replace(thread, seen_seq=at_ms))


def _take_scheduled(
    person: Person, thread: Thread, told: ScheduledCallTold, _: frozenset[UserId], facts: Facts, now: datetime
) -> Thread:
    if told.version <= thread.seen_seq:
        return thread
    thread = replace(thread, seen_seq=told.version)
    if told.is_off:
        return _clear(thread)
    if told.kind is None:
        # What somebody answered takes nothing back; another time, and the beginning, take back the reminder.
        standing = thread.notice
        is_old = standing is not None and standing.expire_time not in (told.start_time, told.end_time)
        return _clear(thread) if is_old else thread
    use_end = told.start_time if told.kind is NoticeKind.CALL_REMINDER else told.end_time
    if now >= use_end or not _may_be_told_of_call(person, told, facts, now):
        return _clear(thread)
    notice = Notice(
        told.kind,
        told.conversation_id,
        told.time,
        from_user_id=told.maker_id,
        text=told.title[:PREVIEW_CHARS],
        title=facts.title,
        video=told.video,
        expire_time=use_end,
    )
    return _show(thread, notice, ())


def _may_be_told_of_call(person: Person, told: ScheduledCallTold, facts: Facts, now: datetime) -> bool:
    """It is meant for everybody who is in the conversation."""
    level = person.settings.conversations.get(told.conversation_id) or person.settings.level
    return (
        level is not Level.NONE
        and facts.is_member
        and facts.request is RequestState.ACCEPTED
        and not facts.is_blocked
        and not _is_muted(facts, now)
    )


def _is_muted(facts: Facts, now: datetime) -> bool:
    return facts.muted_until is not None and now < facts.muted_until


def _show(thread: Thread, notice: Notice, seqs: tuple[int, ...]) -> Thread:
    return replace(thread, notice=notice, seqs=seqs, version=thread.version + 1)


def _clear(thread: Thread) -> Thread:
    if thread.notice is None:
        return replace(thread, seqs=())
    return replace(thread, notice=None, seqs=(), version=thread.version + 1)


_DECISIONS: Mapping[type, Callable[[Person, Thread, Any, frozenset[UserId], Facts, datetime], Thread]] = {
    MessageSent: _take_message,
    MessageChanged: _take_change,
    OwnStateChanged: _take_own_state,
    ConversationLeft: _take_leaving,
    CallRang: _take_ring,
    RingEnded: _take_ring_end,
    ScheduledCallTold: _take_scheduled,
}
