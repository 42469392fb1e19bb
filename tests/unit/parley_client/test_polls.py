"""Polls as the client sends them, and keeps them with their votes."""

from __future__ import annotations

from parley.messaging.v1 import messages_pb2 as wire

from parley_client import NewPoll, Poll
from parley_client.inbox import to_entry
from parley_client.messaging import send_request
from tests.unit.parley_client.fake_edge import message


def poll_message(*votes: wire.PollVotes) -> wire.Message:
    told = message(1)
    told.poll.CopyFrom(wire.PollContent(question="Where?", options=["here", "there", "nowhere"], multiple=True))
    told.poll_votes.extend(votes)
    return told


def test_a_poll_is_sent_as_one() -> None:
    request = send_request("c1", NewPoll("Where?", ["here", "there"], reply_to_seq=3), "k")
    assert request.WhichOneof("content") == "poll"
    assert request.poll == wire.PollContent(question="Where?", options=["here", "there"])
    assert (request.conversation_id, request.client_message_id, request.reply_to_seq) == ("c1", "k", 3)


def test_its_votes_are_kept_by_option() -> None:
    votes = [
        wire.PollVotes(option_index=0, user_ids=["bob"]),
        wire.PollVotes(option_index=2, user_ids=["alice", "bob"]),
    ]
    entry = to_entry(poll_message(*votes))
    assert (entry.kind, entry.text) == ("poll", None)
    assert entry.poll == Poll("Where?", ("here", "there", "nowhere"), True, (("bob",), (), ("alice", "bob")))
    assert [entry.poll.choice(user) for user in ("alice", "bob", "carol")] == [(2,), (0, 2), ()]


def test_a_vote_in_an_option_that_is_not_there_is_left_out() -> None:
    entry = to_entry(poll_message(wire.PollVotes(option_index=7, user_ids=["bob"])))
    assert entry.poll is not None
    assert entry.poll.votes == ((), (), ())


def test_nothing_of_it_is_shown_once_its_time_is_over() -> None:
    told = poll_message(wire.PollVotes(option_index=0, user_ids=["bob"]))
    told.expire_time.FromSeconds(1_000)
    gone = to_entry(told).as_of(1_000.0)
    assert (gone.kind, gone.poll) == ("expired", None)
