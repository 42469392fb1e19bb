"""A kind of content that only tests know: what a new kind needs is a row in each of the three tables."""

from dataclasses import dataclass, replace

import pytest
from parley.messaging.storage.v1 import storage_pb2 as stored
from parley.messaging.v1 import messages_pb2

from services.messaging.kernel import content
from services.messaging.kernel.content import Content, ContentKind
from services.messaging.kernel.ids import UserId
from services.messaging.wire import contents, storage
from services.messaging.wire.contents import ContentForm
from services.messaging.wire.storage import in_content


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


def _to_stored(poll: Poll) -> stored.CallRecord:
    return stored.CallRecord(call_id=poll.question, participant_user_ids=poll.voters)


def _from_stored(kept: stored.CallRecord) -> Poll:
    return Poll(kept.call_id, tuple(UserId(user_id) for user_id in kept.participant_user_ids))


STORED_FORM = in_content(POLL, stored.CallRecord, _to_stored, _from_stored)


def know_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here to the end of the test, messages can hold polls."""
    monkeypatch.setitem(content.KINDS, Poll, POLL)
    monkeypatch.setitem(contents.FORMS, POLL.name, FORM)
    monkeypatch.setitem(storage.STORED, POLL.name, STORED_FORM)
    monkeypatch.delitem(contents.FORMS, content.CALL.name)
