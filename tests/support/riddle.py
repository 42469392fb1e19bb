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
class Riddle(Content):
    question: str
    solvers: tuple[UserId, ...] = ()


RIDDLE = ContentKind(
    "riddle",
    Riddle,
    is_said=True,
    can_be_unsent=True,
    text=lambda riddle: riddle.question,
    withhold=lambda riddle: replace(riddle, solvers=()),
    weight=lambda riddle: len(riddle.question.encode()),
    without=lambda riddle, user_id: replace(
        riddle, solvers=tuple(solver for solver in riddle.solvers if solver != user_id)
    ),
    check=lambda riddle: riddle,
)


def _to_wire(riddle: Riddle) -> messages_pb2.CallContent:
    return messages_pb2.CallContent(call_id=riddle.question, participant_user_ids=riddle.solvers)


def _from_wire(encoded: messages_pb2.CallContent) -> Riddle:
    return Riddle(encoded.call_id, tuple(UserId(user_id) for user_id in encoded.participant_user_ids))


# It is told in the field of calls, of which there are none meanwhile.
FORM = ContentForm(RIDDLE, "call", messages_pb2.CallContent, _to_wire, _from_wire)


def _to_stored(riddle: Riddle) -> stored.CallRecord:
    return stored.CallRecord(call_id=riddle.question, participant_user_ids=riddle.solvers)


def _from_stored(kept: stored.CallRecord) -> Riddle:
    return Riddle(kept.call_id, tuple(UserId(user_id) for user_id in kept.participant_user_ids))


STORED_FORM = in_content(RIDDLE, stored.CallRecord, _to_stored, _from_stored)


def know_riddles(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here to the end of the test, messages can hold riddles."""
    monkeypatch.setitem(content.KINDS, Riddle, RIDDLE)
    monkeypatch.setitem(contents.FORMS, RIDDLE.name, FORM)
    monkeypatch.setitem(storage.STORED, RIDDLE.name, STORED_FORM)
    monkeypatch.delitem(contents.FORMS, content.CALL.name)
