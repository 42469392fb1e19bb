"""A kind of content that only tests know: what a new kind needs is a row in each of the two tables."""

from dataclasses import dataclass, replace

import pytest
from parley.messaging.v1 import messages_pb2

from services.messaging.kernel import content
from services.messaging.kernel.content import Content, ContentKind
from services.messaging.kernel.ids import UserId
from services.messaging.wire import contents
from services.messaging.wire.contents import ContentForm


@dataclass(frozen=True)
class Poll(Content):
    question: str
    voters: tuple[UserId, ...] = ()


POLL = ContentKind(
    "poll",
    Poll,
    is_said=True,
    can_be_unsent=True,
    text=lambda poll: poll.question,
    withhold=lambda poll: replace(poll, voters=()),
    weight=lambda poll: len(poll.question.encode()),
    without=lambda poll, user_id: replace(poll, voters=tuple(voter for voter in poll.voters if voter != user_id)),
    check=lambda poll: poll,
)


def _to_wire(poll: Poll) -> messages_pb2.CallContent:
    return messages_pb2.CallContent(call_id=poll.question, participant_user_ids=poll.voters)


def _from_wire(encoded: messages_pb2.CallContent) -> Poll:
    return Poll(encoded.call_id, tuple(UserId(user_id) for user_id in encoded.participant_user_ids))


# It is told in the field of calls, of which there are none meanwhile.
FORM = ContentForm(POLL, "call", messages_pb2.CallContent, _to_wire, _from_wire)


def know_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here to the end of the test, messages can hold polls."""
    monkeypatch.setitem(content.KINDS, Poll, POLL)
    monkeypatch.setitem(contents.FORMS, POLL.name, FORM)
    monkeypatch.delitem(contents.FORMS, content.CALL.name)
