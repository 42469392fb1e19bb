"""The checker finds what it is for, and nothing where all promises were kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.checker.history import (
    Action,
    Arrival,
    Fault,
    Heard,
    History,
    Hook,
    Notice,
    Operation,
    Outcome,
    Shown,
    View,
)
from tests.faults.checker.promises import PROMISES, Breach, breaches
from tests.faults.checker.shrinking import explain, shrink
from tests.unit.faults.town import ASLEEP, DIRECT, GROUP, lived

SEED = 8


def test_honest_histories_have_no_breach() -> None:
    for seed in range(300):
        assert [breach.text for breach in breaches(lived(seed))] == [], f"seed {seed}"


def test_a_history_is_the_same_after_it_was_written_and_read() -> None:
    history = lived(SEED)
    assert History.loads(history.dumps()) == history


def in_views(history: History, change: Callable[[View], View]) -> History:
    return replace(history, views=tuple(change(view) for view in history.views))


def in_fresh_views(history: History, change: Callable[[View], View]) -> History:
    return in_views(history, lambda view: change(view) if view.is_fresh else view)


def in_heard(history: History, change: Callable[[Heard], Heard]) -> History:
    first, *others = history.heard
    return replace(history, heard=(change(first), *others))


def messages_of(view: View, change: Callable[[Shown], Shown | None]) -> View:
    return replace(view, messages=tuple(kept for message in view.messages if (kept := change(message)) is not None))


def acknowledged(history: History, conversation: str = GROUP, **wanted: object) -> Operation:
    """A send that was acknowledged, and stands in the end as it was sent."""
    standing = {(m.client_message_id, m.text) for view in history.fresh(conversation) for m in view.messages}
    for send in history.of(Action.SEND, outcome=Outcome.OK):
        fits = all(getattr(send, name) == value for name, value in wanted.items())
        if send.conversation == conversation and (send.subject, send.text) in standing and fits:
            return send
    raise AssertionError("the town has no such message")


def asked(history: History, like: Operation, **changes: object) -> History:
    """One more operation, at the end."""
    end_s = max(operation.ended_s for operation in history.operations)
    last = replace(like, number=len(history.operations), began_s=end_s + 2.0, ended_s=end_s + 2.1)
    return history.with_operations((*history.operations, replace(last, **changes)))  # type: ignore[arg-type]


# Each is what a service with one bug would leave behind.


def forgotten(history: History) -> History:
    """Acknowledged before the commit, and lost with it: the next message takes its seq."""
    send = acknowledged(history)
    return in_views(
        history,
        lambda view: (
            replace(
                messages_of(
                    view, lambda m: replace(m, client_message_id="", text="", kind="system") if m.seq == send.seq else m
                )
            )
            if view.conversation == GROUP
            else view
        ),
    )


def relay_forgets(history: History) -> History:
    """An event that was never told, and no Sync: one device lacks the last message."""
    return in_views(
        history,
        lambda view: (
            replace(view, messages=view.messages[:-1])
            if view.device == "alice-phone" and view.conversation == GROUP
            else view
        ),
    )


def hole(history: History) -> History:
    """A seq that was given away and never used."""
    return in_views(history, lambda view: messages_of(view, lambda m: None if m.seq == 3 else m))


def stored_twice(history: History) -> History:
    """A retry that was taken for a new message."""
    send = acknowledged(history)
    again = Shown(0, send.person, send.subject, "text", send.text)
    return in_views(
        history,
        lambda view: (
            replace(view, messages=(*view.messages, replace(again, seq=view.last_seq + 1)))
            if view.conversation == GROUP
            else view
        ),
    )


def answered_twice(history: History) -> History:
    send = acknowledged(history)
    return asked(history, send, seq=send.seq + 1)


def reordered(history: History) -> History:
    """Two messages stand the other way round on one device."""

    def swap(view: View) -> View:
        if view.device != "bob-phone" or view.conversation != DIRECT:
            return view
        first, second, *others = view.messages
        return replace(view, messages=(replace(second, seq=1), replace(first, seq=2), *others))

    return in_views(history, swap)


def refused_and_stored(history: History) -> History:
    send = acknowledged(history)
    return history.with_operations(
        replace(o, outcome=Outcome.FAILED) if o.subject == send.subject else o for o in history.operations
    )


def invented(history: History) -> History:
    send = acknowledged(history)
    return history.with_operations(o for o in history.operations if o.subject != send.subject)


def edit_lost(history: History) -> History:
    send = acknowledged(history)
    return asked(history, send, action=Action.EDIT, subject="", text="better")


def unsending_lost(history: History) -> History:
    send = acknowledged(history)
    return asked(history, send, action=Action.UNSEND, subject="", text="")


def cursor_went_back(history: History) -> History:
    read = next(history.of(Action.READ, outcome=Outcome.OK))
    return in_fresh_views(
        history,
        lambda view: (
            replace(view, own_read_seq=0, unread=None)
            if (view.person, view.conversation) == (read.person, read.conversation)
            else view
        ),
    )


def read_answered_with_less(history: History) -> History:
    """A late MarkRead is answered as if there had been none before."""
    read = next(history.of(Action.READ, outcome=Outcome.OK))
    return asked(history, read, seq=0, asked_seq=0, device=f"{read.person}-laptop")


def cursor_not_told(history: History) -> History:
    return in_views(
        history,
        lambda view: (
            replace(view, own_read_seq=view.own_read_seq - 1)
            if view.device == "bob-phone" and view.own_read_seq
            else view
        ),
    )


def conversation_unknown(history: History) -> History:
    """One device was never told of it."""
    kept = (view for view in history.views if (view.device, view.conversation) != ("alice-phone", DIRECT))
    return replace(history, views=tuple(kept))


def reaction_once_put(history: History) -> Operation:
    """A reaction that was put with acknowledgement, and is not changed any more."""

    def place(change: Operation) -> tuple[str, int, str]:
        return change.conversation, change.seq, change.person

    changes = list(history.of(Action.REACT, Action.TAKE_REACTION))
    standing = {(v.conversation, m.seq) for v in history.fresh() for m in v.messages if m.kind == "text"}
    for change in history.of(Action.REACT, outcome=Outcome.OK):
        is_only_one = [other for other in changes if place(other) == place(change)] == [change]
        if is_only_one and change.person != "dave" and (change.conversation, change.seq) in standing:
            return change
    raise AssertionError("the town has no such reaction")


def reaction_lost(history: History) -> History:
    put = reaction_once_put(history)
    mark = f"! {put.person}"

    def without(message: Shown) -> Shown:
        return replace(message, reactions=tuple(one for one in message.reactions if one != mark))

    return in_views(history, lambda view: messages_of(view, lambda m: without(m) if m.seq == put.seq else m))


def reaction_of_nobody(history: History) -> History:
    send = acknowledged(history)
    return in_views(
        history,
        lambda view: messages_of(
            view,
            lambda m: replace(m, reactions=(*m.reactions, "? bob")) if m.client_message_id == send.subject else m,
        ),
    )


def vote_once_cast(history: History) -> Operation:
    """A vote that was acknowledged, and is not changed any more."""

    def place(vote: Operation) -> tuple[str, int, str]:
        return vote.conversation, vote.seq, vote.person

    votes = list(history.of(Action.VOTE))
    standing = {(v.conversation, m.seq) for v in history.fresh() for m in v.messages if m.kind == "poll"}
    for vote in history.of(Action.VOTE, outcome=Outcome.OK):
        is_only_one = [other for other in votes if place(other) == place(vote)] == [vote]
        if is_only_one and vote.subject and vote.person != "dave" and (vote.conversation, vote.seq) in standing:
            return vote
    raise AssertionError("the town has no such vote")


def with_votes(history: History, cast: Operation, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> History:
    def changed(message: Shown) -> Shown:
        return replace(message, votes=change(message.votes)) if message.seq == cast.seq else message

    return in_views(
        history, lambda view: messages_of(view, changed) if view.conversation == cast.conversation else view
    )


def vote_lost(history: History) -> History:
    cast = vote_once_cast(history)
    return with_votes(history, cast, lambda votes: tuple(v for v in votes if not v.endswith(f" {cast.person}")))


def vote_stays(history: History) -> History:
    """An option that somebody chose no more counts on."""
    cast = vote_once_cast(history)
    return asked(history, cast, subject="")


def vote_of_nobody(history: History) -> History:
    return with_votes(history, vote_once_cast(history), lambda votes: (*votes, "1 mallory"))


def webhook_lost(history: History) -> History:
    send = acknowledged(history)
    told = (h for h in history.hooks if (h.type, h.about, h.place) != ("message.sent", GROUP, send.seq))
    return replace(history, hooks=tuple(told))


def webhook_of_an_edit_lost(history: History) -> History:
    edit = next(history.of(Action.EDIT, outcome=Outcome.OK))
    changed = ("message.changed", edit.conversation, edit.seq)
    return replace(history, hooks=tuple(h for h in history.hooks if (h.type, h.about, h.place) != changed))


def webhook_of_a_call_lost(history: History) -> History:
    start = next(history.of(Action.START_CALL, outcome=Outcome.OK))
    ended = ("call.ended", start.subject)
    return replace(history, hooks=tuple(h for h in history.hooks if (h.type, h.about) != ended))


def webhook_of_a_deletion_lost(history: History) -> History:
    send = acknowledged(history)
    return asked(history, send, action=Action.DELETE_ACCOUNT, conversation="", subject="", text="", seq=0)


def webhooks_reordered(history: History) -> History:
    """The newest first."""
    return replace(history, hooks=tuple(reversed(history.hooks)))


def webhook_of_a_change_came_first(history: History) -> History:
    send = acknowledged(history)
    early = Hook("early", "message.changed", GROUP, send.seq, 1)
    return replace(history, hooks=(early, *history.hooks))


def webhook_of_nothing(history: History) -> History:
    nothing = Hook("nothing", "message.sent", GROUP, 5000, sender="alice", subject="m5000")
    return replace(history, hooks=(*history.hooks, nothing))


def webhook_of_another(history: History) -> History:
    send = acknowledged(history)
    return replace(
        history,
        hooks=tuple(replace(h, sender="mallory") if h.subject == send.subject else h for h in history.hooks),
    )


def webhook_with_two_contents(history: History) -> History:
    first = history.hooks[0]
    return replace(history, hooks=(*history.hooks, replace(first, place=first.place + 1)))


def webhook_not_signed(history: History) -> History:
    return replace(history, disbelieved=("hook1",))


def told_of(send: Operation, **values: object) -> Notice:
    """The sleeping device is sent a notice of a message, in the end."""
    thread = f"conversation:{send.conversation}"
    notice = Notice(
        "last", ASLEEP.person, ASLEEP.device, thread, 10_000, "message", send.seq, send.person, send.text, 1e6
    )
    return replace(notice, **values)  # type: ignore[arg-type]


def notice_lost(history: History) -> History:
    """Nobody has blocked anybody, alice has read nothing, and her device shows nothing."""
    peaceful = history.with_operations(o for o in history.operations if o.action is not Action.BLOCK)
    unread = in_fresh_views(peaceful, lambda view: replace(view, own_read_seq=0))
    return replace(unread, notices=())


def notice_stays(history: History) -> History:
    """alice reads what bob wrote, and a device shows it to the end."""
    send = acknowledged(history, DIRECT, person="bob")
    told = replace(history, notices=(*history.notices, told_of(send)))
    return asked(told, send, person="alice", action=Action.READ, subject="", text="", asked_seq=send.seq)


def notices_reordered(history: History) -> History:
    return replace(history, notices=tuple(reversed(history.notices)))


def notice_of_the_blocked(history: History) -> History:
    """alice blocks bob, and a device of hers is told what he says in the group after that."""
    send = acknowledged(history, GROUP, person="bob")
    blocked = asked(history, send, person="alice", action=Action.BLOCK, conversation="", subject="bob", text="", seq=0)
    later = asked(blocked, send, subject="later", seq=500)
    return replace(later, notices=(*later.notices, told_of(later.operations[-1])))


def notice_of_another(history: History) -> History:
    send = acknowledged(history, DIRECT, person="bob")
    return replace(history, notices=(*history.notices, told_of(send, sender="dave", text="")))


def notice_of_other_words(history: History) -> History:
    send = acknowledged(history, DIRECT, person="bob")
    return replace(history, notices=(*history.notices, told_of(send, text="I never said that")))


def notice_not_signed(history: History) -> History:
    return replace(history, disbelieved_notices=("notice1",))


def vanishing_forgotten(history: History) -> History:
    return replace(history, vanishing={GROUP: 5})


def cursor_of_another(history: History) -> History:
    return in_fresh_views(history, lambda view: replace(view, read_by={**view.read_by, "bob": 10_000}))


def counted_twice(history: History) -> History:
    return in_fresh_views(history, lambda view: replace(view, unread=(view.unread or 0) + 1))


def block_seen_late(history: History) -> History:
    """alice blocks bob, whose next message is taken all the same."""
    send = acknowledged(history, DIRECT, person="bob")
    blocked = asked(history, send, person="alice", action=Action.BLOCK, conversation="", subject="bob", text="")
    return asked(blocked, send, subject="late", seq=len(next(history.fresh(DIRECT)).messages) + 1, text="late")


def stale_member(history: History) -> History:
    """bob is removed; a service that has not heard of it sends him what is said afterwards."""
    send = acknowledged(history, GROUP, person="alice")
    removed = asked(history, send, action=Action.REMOVE_MEMBER, subject="bob", text="", seq=0)
    later = asked(removed, send, subject="later", seq=500)
    arrival = Arrival("bob", "bob-phone", GROUP, 500, 1e6)
    return replace(later, arrivals=(*later.arrivals, arrival))


def removed_member_writes(history: History) -> History:
    send = acknowledged(history, GROUP, person="alice")
    removed = asked(history, send, action=Action.REMOVE_MEMBER, subject="bob", text="", seq=0)
    return asked(removed, send, person="bob", subject="later", seq=500)


def deleted_account_speaks(history: History) -> History:
    send = acknowledged(history, GROUP, person="alice")
    deleted = asked(history, send, person="carol", action=Action.DELETE_ACCOUNT, conversation="", subject="", seq=0)
    return asked(deleted, send, person="carol", subject="ghost", seq=500)


def deleted_account_is_shown(history: History) -> History:
    send = acknowledged(history)
    return asked(history, send, action=Action.DELETE_ACCOUNT, conversation="", subject="", text="", seq=0)


def two_accepts(history: History) -> History:
    accept = next(history.of(Action.ACCEPT_CALL, outcome=Outcome.OK))
    return asked(history, accept, device="bob-third")


def call_without_end(history: History) -> History:
    first, *others = history.calls
    return replace(history, calls=(replace(first, end=""), *others))


def call_with_two_ends(history: History) -> History:
    first, *others = history.calls
    return replace(history, calls=(replace(first, end="MISSED"), *others))


def call_without_record(history: History) -> History:
    ended = history.calls[0].call_id
    return in_views(
        history,
        lambda view: messages_of(view, lambda m: replace(m, kind="system", call_id="") if m.call_id == ended else m),
    )


def fell_silent(history: History) -> History:
    """While the control plane was away."""
    return in_heard(history, lambda heard: replace(heard, at_s=tuple(at for at in heard.at_s if not 305 < at < 325)))


def had_to_reconnect(history: History) -> History:
    return in_heard(history, lambda heard: replace(heard, reconnected_s=(*heard.reconnected_s, 310.0)))


def put_out(history: History) -> History:
    return in_heard(history, lambda heard: replace(heard, has_ended=True))


def never_came_back(history: History) -> History:
    return in_heard(history, lambda heard: replace(heard, at_s=tuple(range(100))))


def handler_raised(history: History) -> History:
    return asked(history, acknowledged(history), outcome=Outcome.UNKNOWN, status="UNKNOWN ")


BUGS: list[tuple[Callable[[History], History], str]] = [
    (forgotten, "acknowledged is stored"),
    (relay_forgets, "no gaps"),
    (hole, "no gaps"),
    (stored_twice, "one seq for one client id"),
    (answered_twice, "one seq for one client id"),
    (reordered, "one order"),
    (refused_and_stored, "refused is not stored"),
    (invented, "refused is not stored"),
    (edit_lost, "changes hold"),
    (unsending_lost, "changes hold"),
    (cursor_went_back, "read cursors hold"),
    (cursor_of_another, "read cursors hold"),
    (read_answered_with_less, "read cursors only move forward"),
    (cursor_not_told, "read cursors are told"),
    (conversation_unknown, "no gaps"),
    (reaction_lost, "reactions hold"),
    (reaction_of_nobody, "reactions hold"),
    (vote_lost, "votes hold"),
    (vote_stays, "votes hold"),
    (vote_of_nobody, "votes hold"),
    (vanishing_forgotten, "vanished is gone"),
    (webhook_lost, "webhooks tell all"),
    (webhook_of_an_edit_lost, "webhooks tell all"),
    (webhook_of_a_call_lost, "webhooks tell all"),
    (webhook_of_a_deletion_lost, "webhooks tell all"),
    (webhooks_reordered, "webhooks keep the order"),
    (webhook_of_a_change_came_first, "webhooks keep the order"),
    (webhook_of_nothing, "webhooks tell no more"),
    (webhook_of_another, "webhooks tell no more"),
    (webhook_with_two_contents, "webhooks tell no more"),
    (webhook_not_signed, "webhooks tell no more"),
    (notice_lost, "notices tell all"),
    (notice_stays, "notices go when read"),
    (notices_reordered, "notices keep the order"),
    (notice_of_the_blocked, "no notice of the blocked"),
    (notice_of_another, "notices tell no more"),
    (notice_of_other_words, "notices tell no more"),
    (notice_not_signed, "notices tell no more"),
    (counted_twice, "unread is counted"),
    (block_seen_late, "nothing after a block"),
    (stale_member, "nothing after a removal"),
    (removed_member_writes, "nothing after a removal"),
    (deleted_account_speaks, "deleted accounts are gone"),
    (deleted_account_is_shown, "deleted accounts are gone"),
    (two_accepts, "one device takes a call"),
    (call_without_end, "a call ends once"),
    (call_with_two_ends, "a call ends once"),
    (call_without_record, "a call is recorded once"),
    (fell_silent, "media goes on"),
    (had_to_reconnect, "media goes on"),
    (put_out, "media goes on"),
    (never_came_back, "media goes on"),
    (handler_raised, "refusals are documented"),
]


@pytest.fixture(scope="module")
def town() -> History:
    return lived(SEED, steps=400)


@pytest.mark.parametrize(("bug", "promise"), BUGS, ids=[bug.__name__ for bug, _ in BUGS])
def test_what_a_bug_leaves_behind_is_found(town: History, bug: Callable[[History], History], promise: str) -> None:
    found = breaches(bug(town))
    assert promise in {breach.promise for breach in found}


def test_every_promise_has_a_bug_that_breaks_it() -> None:
    assert {promise for _, promise in BUGS} == set(PROMISES)


def test_what_is_gone_and_what_was_said_before_is_no_breach_where_messages_vanish(town: History) -> None:
    def gone(message: Shown) -> Shown:
        is_kept = message.seq <= 5 or message.kind == "system"
        return message if is_kept else replace(message, kind="expired", text="", call_id="", reactions=())

    vanished = in_views(town, lambda view: messages_of(view, gone))
    assert breaches(replace(town, vanishing={GROUP: 5}))
    assert "vanished is gone" not in {b.promise for b in breaches(replace(vanished, vanishing={GROUP: 5}))}


@pytest.mark.parametrize(
    ("fault", "forgets"),
    [(Fault("lose the data", "broker", 1e3, 2e3), False), (Fault("kill", "broker", 1e3, 2e3), True)],
)
def test_what_the_broker_lost_webhooks_need_not_tell(town: History, fault: Fault, *, forgets: bool) -> None:
    nothing = replace(town, hooks=(), faults=(*town.faults, fault), broker_forgets=forgets)
    assert "webhooks tell all" not in {breach.promise for breach in breaches(nothing)}
    assert not {"notices tell all", "notices go when read"} & {
        breach.promise for breach in breaches(notice_lost(nothing))
    }
    # What is asked later must be told.
    send = acknowledged(town)
    later = asked(nothing, send, began_s=3e3, ended_s=3e3 + 1)
    assert "webhooks tell all" in {breach.promise for breach in breaches(later)}


def test_a_call_whose_end_the_broker_lost_needs_no_record(town: History) -> None:
    def unrecorded(message: Shown) -> Shown:
        return replace(message, kind="text") if message.kind == "call" else message

    nothing = in_views(town, lambda view: messages_of(view, unrecorded))
    assert "a call is recorded once" in {breach.promise for breach in breaches(nothing)}
    lost = replace(nothing, faults=(*town.faults, Fault("lose the data", "broker", 1e3, 2e3)))
    assert "a call is recorded once" not in {breach.promise for breach in breaches(lost)}
    # What begins later must be recorded.
    for start in town.of(Action.START_CALL):
        later = asked(lost, start, began_s=3e3, ended_s=3e3 + 1)
        assert "a call is recorded once" in {breach.promise for breach in breaches(later)}


def test_a_broker_that_keeps_its_data_excuses_no_webhook(town: History) -> None:
    nothing = replace(town, hooks=(), faults=(*town.faults, Fault("kill", "broker", 1e3, 2e3)))
    assert "webhooks tell all" in {breach.promise for breach in breaches(nothing)}


@pytest.mark.parametrize(("bug", "promise"), BUGS, ids=[bug.__name__ for bug, _ in BUGS])
def test_a_failing_history_shrinks_to_a_few_operations(
    town: History, bug: Callable[[History], History], promise: str
) -> None:
    history = bug(town)
    breach = next(breach for breach in breaches(history) if breach.promise == promise)
    small = shrink(history, breach)
    assert len(small.operations) <= 3
    assert len(small.views) <= 2
    assert _still_broken(small, breach)
    assert breach.text in explain(history, breach)


def _still_broken(history: History, breach: Breach) -> bool:
    return (breach.promise, breach.key) in {(found.promise, found.key) for found in breaches(history)}
