"""What a headless device asks Sync for."""

from parley.gateway.v1 import messages_pb2 as gateway
from parley.messaging.v1 import messages_pb2 as messaging
from parley.messaging.v1 import service_pb2 as service

from parley_client.account_sync import FOLDERS, AccountSync
from parley_client.inbox import Inbox


def conversation(key: str, last_seq: int = 1, revision: int = 0) -> messaging.Conversation:
    members = [messaging.Member(user_id=user) for user in ("alice", "bob")]
    return messaging.Conversation(conversation_id=key, members=members, last_seq=last_seq, revision=revision)


def messages(key: str, *seqs: int) -> list[messaging.Message]:
    return [
        messaging.Message(
            conversation_id=key, seq=seq, message_id=f"{key}/{seq}", text=messaging.TextContent(text="hi")
        )
        for seq in seqs
    ]


def delta(key: str, *seqs: int, revision: int = 0, has_more: bool = False) -> messaging.ConversationDelta:
    return messaging.ConversationDelta(
        conversation=conversation(key, seqs[-1], revision),
        messages=messages(key, *seqs),
        cursor=messaging.Cursor(conversation_id=key, seq=seqs[-1], revision=revision),
        has_more=has_more,
    )


def named(account: AccountSync) -> dict[str, tuple[int, int]]:
    return {cursor.conversation_id: (cursor.seq, cursor.revision) for cursor in account.request().cursors}


def listed(account: AccountSync, *keys: str) -> None:
    summaries = [service.ConversationSummary(conversation=conversation(key)) for key in keys]
    account.take_list(FOLDERS[0], service.ListConversationsResponse(conversations=summaries, sync_token="t0"))


def answer(*deltas: messaging.ConversationDelta, token: str, has_more: bool = False) -> service.SyncResponse:
    return service.SyncResponse(deltas=deltas, sync_token=token, has_more=has_more)


def test_what_was_listed_is_named_until_its_messages_are_there() -> None:
    account = AccountSync(Inbox("alice"))
    listed(account, "a", "b")
    assert named(account) == {"a": (0, 0), "b": (0, 0)}
    assert account.take(answer(delta("a", 5, 6), token="t1", has_more=True))
    assert named(account) == {"b": (0, 0)}
    assert not account.take(answer(delta("b", 1), token="t2"))
    assert named(account) == {}
    assert account.request().sync_token == "t2"


def test_an_unnamed_delta_that_joins_on_is_taken_and_one_that_does_not_is_asked_for_again() -> None:
    inbox = Inbox("alice")
    account = AccountSync(inbox)
    listed(account, "a")
    account.request()
    account.take(answer(delta("a", 1, 2), token="t1"))
    account.request()
    assert not account.take(answer(delta("a", 2, 3), token="t2"))
    assert inbox.conversations.history("a").cursor == 3
    for beyond in (delta("a", 8, 9), delta("a", 3, 4, revision=2)):
        account.request()
        assert account.take(answer(beyond, token="t3"))
        assert named(account) == {"a": (3, 0)}
        assert not account.take(answer(token="t4"))
        assert inbox.conversations.history("a").cursor == 3


def test_what_nobody_can_tell_of_does_not_keep_it_asking() -> None:
    inbox = Inbox("alice")
    inbox.apply(gateway.DeviceEvent(message=messages("unknown", 7)[0]), 0.0)
    account = AccountSync(inbox)
    assert named(account) == {}
    assert not account.take(answer(token="t1"))


def test_a_live_conversation_is_named_by_the_first_sync_which_may_say_that_it_is_gone() -> None:
    inbox = Inbox("alice")
    inbox.apply(gateway.DeviceEvent(conversation=conversation("a", 0)), 0.0)
    account = AccountSync(inbox)
    assert named(account) == {"a": (0, 0)}
    assert not account.take(service.SyncResponse(gone_conversation_ids=["a"], sync_token="t1"))
    assert "a" not in inbox.conversations


def test_who_is_put_out_while_sync_is_on_its_way_stays_out() -> None:
    inbox = Inbox("alice")
    account = AccountSync(inbox)
    inbox.apply(gateway.DeviceEvent(conversation=conversation("a", revision=1)), 0.0)
    account.request()
    removal = messaging.Conversation(conversation_id="a", members=[messaging.Member(user_id="bob")], revision=2)
    inbox.apply(gateway.DeviceEvent(conversation=removal), 0.0)
    assert not account.take(answer(delta("a", 1, revision=1), token="t1"))
    # No later word would tell it again.
    assert "a" not in inbox.conversations


def test_who_is_let_in_again_asks_for_what_came_before_the_news_of_it() -> None:
    """Messages come directly, and news of members by a slower way: both may be old when they come."""
    inbox = Inbox("alice")
    account = AccountSync(inbox)
    listed(account, "a")
    account.request()
    account.take(answer(delta("a", 1, 2), token="t1"))
    inbox.apply(gateway.DeviceEvent(message=messages("a", 3)[0]), 0.0)
    removed = messaging.Conversation(conversation_id="a", revision=1, members=[messaging.Member(user_id="bob")])
    inbox.apply(gateway.DeviceEvent(conversation=removed), 0.0)
    let_in = conversation("a", last_seq=2, revision=2)
    let_in.members[0].visible_after_seq = 2
    assert inbox.apply(gateway.DeviceEvent(conversation=let_in), 0.0)
    assert named(account) == {"a": (2, 2)}
    account.take(answer(delta("a", 3, revision=2), token="t2"))
    assert [entry.seq for entry in inbox.conversations.history("a").shown] == [3]
    assert named(account) == {}


def test_no_more_than_a_thousand_are_named_at_once() -> None:
    account = AccountSync(Inbox("alice"))
    listed(account, *(f"c{number}" for number in range(1_200)))
    assert len(named(account)) == 1_000
    assert account.take(answer(token="t1"))
    assert len(named(account)) == 200
    assert not account.take(answer(token="t2"))


def keeps(inbox: Inbox, key: str, state: messaging.OwnState) -> None:
    changed = gateway.OwnStateChanged(conversation_id=key, own_state=state)
    inbox.apply(gateway.DeviceEvent(own_state=changed), 0.0)


def with_state(told: messaging.ConversationDelta, state: messaging.OwnState) -> messaging.ConversationDelta:
    told.own_state.CopyFrom(state)
    return told


PENDING = messaging.OwnState(request=messaging.REQUEST_STATE_PENDING)
DECLINED = messaging.OwnState(request=messaging.REQUEST_STATE_DECLINED)


def test_an_own_state_that_was_told_while_sync_was_asked_is_newer_than_its_answer() -> None:
    inbox = Inbox("alice")
    account = AccountSync(inbox)
    listed(account, "a", "b")
    account.request()
    keeps(inbox, "a", messaging.OwnState(pinned=True))
    account.take(answer(delta("a", 1), with_state(delta("b", 1), messaging.OwnState(pinned=True)), token="t1"))
    assert [inbox.own_states[key].pinned for key in ("a", "b")] == [True, True]
    assert inbox.conversations.history("a").cursor == 1
    account.request()
    account.take(answer(delta("a", 1, 2), token="t2"))
    assert not inbox.own_states["a"].pinned


def test_a_request_that_was_declined_meanwhile_does_not_come_back_by_an_answer_of_before() -> None:
    inbox = Inbox("alice")
    account = AccountSync(inbox)
    listed(account, "a")
    account.request()
    keeps(inbox, "a", DECLINED)
    assert not account.take(answer(with_state(delta("a", 1), PENDING), token="t1"))
    assert "a" not in inbox.conversations
    assert inbox.own_states["a"].request == messaging.REQUEST_STATE_DECLINED
    asked = inbox.moment
    keeps(inbox, "b", DECLINED)
    summaries = [service.ConversationSummary(conversation=conversation(key), own_state=PENDING) for key in ("b", "c")]
    account.take_list(FOLDERS[1], service.ListConversationsResponse(conversations=summaries), asked=asked)
    assert [key in inbox.conversations for key in ("b", "c")] == [False, True]
