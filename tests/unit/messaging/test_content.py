"""What a message can hold stands in three tables: nobody else spells out which kinds there are."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from parley.messaging.v1 import events_pb2, messages_pb2, service_pb2

from services.messaging.kernel.content import (
    KINDS,
    CallOutcome,
    CallRecord,
    Content,
    Expired,
    Link,
    LinkPreview,
    Mention,
    Poll,
    Sticker,
    SystemContent,
    SystemKind,
    Text,
    Unsent,
    Voice,
    forwarded,
    kind_of,
    text_of,
    withheld,
    without,
)
from services.messaging.kernel.model import (
    AttachmentId,
    ConversationId,
    Message,
    MessageId,
    UserId,
)
from services.messaging.kernel.weighing import weigh_message
from services.messaging.wire import api, contents
from services.messaging.wire.contents import FORMS
from services.messaging.wire.events import withheld_event
from services.messaging.wire.storage import STORED, from_columns, is_said, to_columns

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGING = Path(contents.__file__).parents[1]
TABLES = {"kernel/content.py", "wire/contents.py", "wire/storage.py"}
CLASSES = {cls.__name__ for cls in KINDS}
# Of kinds as SQL has them. Names of ours: no sign of an expression among them.
_QUOTED = re.compile("'(" + "|".join(kind.name for kind in KINDS.values()) + ")'")
_FIELDS = {form.field for form in FORMS.values()}
# Calls that ask for one field of a message.
_ASKS = {"HasField", "WhichOneof", "ClearField", "CopyFrom"}

# Who is about one kind, and why.
_EDITS = {
    ("kernel/model.py", "Edit", "Text"),
    ("messages/core/changes.py", "edit", "Text"),
    ("messages/service/changing.py", "Changing.edit_message", "Text"),
    ("messages/service/retries.py", "Retries.standing_text", "Text"),
}
_VOTES = {("messages/core/changes.py", "_find_poll", "Poll")}
# Its checks know the configuration, and look up the members.
_SENDS_TEXTS = {
    ("kernel/checks.py", "check_entities", "Text"),
    ("kernel/checks.py", "check_preview", "Text"),
    ("messages/service/requests.py", "TextRequest", "Text"),
    ("messages/service/texts.py", "checked_text", "Text"),
    ("messages/service/requests.py", "request_of", "Text"),
}
# A verdict that changes something changes a text; titles are judged as texts, and edits are of texts.
_JUDGES_TEXTS = {
    ("hooks/core/verdicts.py", "Replace", "Text"),
    ("hooks/core/verdicts.py", "_replaced", "Text"),
    ("hooks/core/verdicts.py", "content_after", "Text"),
    ("hooks/core/verdicts.py", "masked", "Text"),
    ("hooks/mapping.py", "question_message", "Text"),
    ("hooks/mapping.py", "verdict_of", "Text"),
    ("hooks/ports.py", "Editing.edit_reviewed", "Text"),
    ("hooks/service/judging.py", "Judging.edit", "Text"),
    ("hooks/service/judging.py", "Judging.title", "Text"),
    ("hooks/service/judging.py", "_as_text", "Text"),
    ("hooks/service/reviewing.py", "Reviews._send", "Text"),
    ("messages/service/changing.py", "Changing._judged_edit", "Text"),
    ("messages/service/changing.py", "Changing.edit_reviewed", "Text"),
}
_RECORDS_CALLS = {
    ("messages/consumer.py", "CallRecords._record", "CallRecord"),
    ("messages/service/sending.py", "Sending.record_call", "CallRecord"),
}
_LEAVES_TOMBSTONES = {
    ("messages/core/changes.py", "unsend", "Unsent"),
    ("messages/core/changes.py", "_emptied", "Unsent"),
    ("kernel/expiry.py", "tombstone", "Expired"),
    ("scheduling/core.py", "cancel", "Expired"),
}
_TELLS_OF_GROUPS = {
    ("vanishing/core.py", "set_vanishing", "SystemContent"),
    ("pins/core.py", "pin", "SystemContent"),
    ("groups/core/changes.py", "GroupChange", "SystemContent"),
    ("groups/core/changes.py", "create_group", "SystemContent"),
    ("groups/core/changes.py", "remove_member", "SystemContent"),
    ("groups/core/changes.py", "leave", "SystemContent"),
    ("groups/core/changes.py", "set_role", "SystemContent"),
    ("groups/core/changes.py", "update", "SystemContent"),
    ("groups/core/changes.py", "_enter", "SystemContent"),
    ("groups/core/changes.py", "_without", "SystemContent"),
}
ALLOWED = _EDITS | _VOTES | _SENDS_TEXTS | _JUDGES_TEXTS | _RECORDS_CALLS | _LEAVES_TOMBSTONES | _TELLS_OF_GROUPS


def spelled(source: str) -> Iterator[tuple[str, str]]:
    """Each class or name of a kind that a module spells, and the function, method or class that does."""
    for top in ast.parse(source).body:
        for part in top.body if isinstance(top, ast.ClassDef) else [top]:
            if isinstance(part, ast.Import | ast.ImportFrom):
                continue
            names = [getattr(top, "name", ""), *([getattr(part, "name", "")] if part is not top else [])]
            place = ".".join(name for name in names if name)
            yield from ((place, word) for node in ast.walk(part) for word in _words(node))


def _words(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and node.id in CLASSES:
        yield node.id
    elif isinstance(node, ast.Attribute) and node.attr in CLASSES:
        yield node.attr
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _QUOTED.findall(node.value)
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _ASKS:
        yield from (each.value for each in node.args if isinstance(each, ast.Constant) and each.value in _FIELDS)
    elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant) and node.value.value in _FIELDS:
        yield str(node.value.value)
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        yield from (str(each.value) for each in sides if isinstance(each, ast.Constant) and each.value in _FIELDS)


def test_nobody_but_the_tables_spells_out_kinds() -> None:
    found = {
        (str(path.relative_to(MESSAGING)), place, word)
        for path in MESSAGING.rglob("*.py")
        if str(path.relative_to(MESSAGING)) not in TABLES
        for place, word in spelled(path.read_text())
    }
    assert found - ALLOWED == set()
    assert ALLOWED - found == set(), "nobody needs it any more"


@pytest.mark.parametrize(
    "source",
    [
        "def f(c):\n    return isinstance(c, Text)",
        "def f(c):\n    return type(c) is content.CallRecord",
        "Q = \"SELECT 1 FROM messages WHERE kind IN ('text', 'call')\"",
        "Q = f\"UPDATE {t} SET kind = 'expired'\"",
        "def f(m):\n    return m.HasField('text')",
        "def f(m):\n    match m.WhichOneof('content'):\n        case 'call':\n            pass",
        "def f(row):\n    return row['kind'] == 'unsent'",
    ],
)
def test_a_kind_that_is_spelled_is_seen(source: str) -> None:
    assert list(spelled(source))


def test_every_kind_has_a_form_and_every_field_of_a_message_is_a_kinds() -> None:
    assert {form.kind for form in STORED.values()} == set(KINDS.values())
    assert all(name == form.kind.name for name, form in STORED.items())
    assert {form.kind for form in FORMS.values()} == set(KINDS.values())
    assert all(name == form.kind.name for name, form in FORMS.items())
    contents = messages_pb2.Message.DESCRIPTOR.oneofs_by_name["content"].fields
    assert {form.field for form in FORMS.values()} == {field.name for field in contents}
    assert {form.field: form.wire.DESCRIPTOR.full_name for form in FORMS.values()} == {
        field.name: field.message_type.full_name for field in contents
    }


def test_what_devices_send_is_told_as_it_is_sent() -> None:
    sent = service_pb2.SendMessageRequest.DESCRIPTOR.oneofs_by_name["content"].fields
    told = {form.field: form for form in FORMS.values()}
    for field in sent:
        assert field.message_type.full_name == told[field.name].wire.DESCRIPTOR.full_name
        assert field.name == "text" or told[field.name].kind.check is not None


def test_no_row_of_the_table_contradicts_itself() -> None:
    for cls, kind in KINDS.items():
        assert issubclass(cls, Content)
        assert not (kind.is_said and kind.is_gone), kind.name
        assert kind.is_said or not (kind.is_record or kind.can_be_unsent or kind.check or kind.text), kind.name
        assert not (kind.is_record and kind.can_be_unsent), "a record is not its sender's to take back"
        assert bool(kind.files) == bool(kind.file_type), kind.name


def test_the_kinds_that_nobody_says_are_those_of_the_sweepers_index() -> None:
    """Another list needs a migration of messages_by_expiry."""
    assert is_said("m") == "m.kind NOT IN ('line', 'unsent', 'expired')"


def test_what_a_newer_release_wrote_is_not_shown_to_who_has_not_let_it_in() -> None:
    event = events_pb2.ConversationEvent()
    event.message_sent.message.seq = 4
    # A field that this release does not know.
    event.message_sent.message.MergeFromString(b"\xfa\x3f\x06secret")
    assert b"secret" in event.SerializeToString()
    withheld = withheld_event(event)
    assert b"secret" not in withheld.SerializeToString()
    assert withheld.message_sent.message.seq == 4


def test_a_stored_kind_of_a_newer_release_is_told_as_taken_back() -> None:
    row = {"kind": "hologram", "body": "x", "content": b"\xff"}
    assert kind_of(from_columns(row)).is_gone


PEOPLE = tuple(UserId(f"person-{number:057}") for number in range(256))
# The largest of each kind.
SAMPLES: dict[type[Content], Content] = {
    Text: Text(
        "€" * 10_000,
        tuple(Link(place, 1, "https://x.example/" + "x" * 2_000) for place in range(50)),
        preview=LinkPreview("https://x.example/" + "x" * 2_000, "€" * 200, "€" * 400, "€" * 100),
    ),
    Voice: Voice(AttachmentId(UUID(int=7)), timedelta(minutes=15), b"\xff" * 128),
    Poll: Poll("€" * 300, tuple(f"{number}{'€' * 99}" for number in range(10)), True),
    Sticker: Sticker("https://x.example/" + "x" * 1_006, 4_096, 4_096, "€" * 300, "x" * 128),
    CallRecord: CallRecord(UUID(int=7), True, CallOutcome.COMPLETED, timedelta(hours=3), PEOPLE),
    SystemContent: SystemContent(SystemKind.ADDED, PEOPLE),
    Unsent: Unsent(),
    Expired: Expired(),
}


@pytest.mark.parametrize("cls", KINDS)
def test_each_kind_comes_back_as_it_was_told_and_stored(cls: type[Content]) -> None:
    content = SAMPLES[cls]
    form = FORMS[kind_of(content).name]
    assert form.from_wire(form.wire.FromString(form.to_wire(content).SerializeToString())) == content
    assert from_columns(to_columns(content)._asdict()) == content
    message = messages_pb2.Message()
    contents.put_content(message, content)
    assert message.WhichOneof("content") == form.field
    assert contents.kind_in(message) is kind_of(content)
    assert contents.text_in(message) == text_of(content)


@pytest.mark.parametrize("cls", KINDS)
def test_each_kind_weighs_what_it_takes_of_an_answer(cls: type[Content]) -> None:
    """Answers are bounded by weight to a quarter of what clients take: twice is far enough."""
    message = Message(MessageId(UUID(int=1)), ConversationId(UUID(int=2)), 1, PEOPLE[0], "k", NOW, SAMPLES[cls])
    assert api.message_message(message).ByteSize() <= 2 * weigh_message(message)


@pytest.mark.parametrize("cls", KINDS)
def test_what_is_withheld_is_of_the_same_kind_and_withholds_nothing_more(cls: type[Content]) -> None:
    shown = withheld(SAMPLES[cls])
    assert type(shown) is cls
    assert withheld(shown) == shown
    form = FORMS[kind_of(shown).name]
    assert form.from_wire(form.to_wire(shown)) == shown


def test_whom_others_content_names_goes_out_of_it_or_is_kept_for_a_reason() -> None:
    for cls, content in SAMPLES.items():
        left = without(content, PEOPLE[3])
        is_named = PEOPLE[3].encode() in FORMS[kind_of(left).name].to_wire(left).SerializeToString()
        assert is_named is (cls is SystemContent), "a group's own history names who came; nothing else does"


@pytest.mark.parametrize("cls", KINDS)
def test_what_is_forwarded_is_of_the_same_kind_and_names_neither_people_nor_the_files_of_before(
    cls: type[Content],
) -> None:
    content = SAMPLES[cls]
    kind = kind_of(content)
    assert (kind.forward is not None) is kind.can_be_unsent, "what a person wrote or spoke, and nothing else"
    if kind.forward is None:
        with pytest.raises(ValueError, match="cannot be forwarded"):
            forwarded(content, {})
        return
    files = list(kind.files(content)) if kind.files else []
    copies = {id_: AttachmentId(UUID(int=id_.int + 1)) for id_ in files}
    copy = forwarded(content, copies)
    assert type(copy) is cls
    assert (list(kind.files(copy)) if kind.files else []) == list(copies.values())
    assert kind.check is None or kind.check(copy) == copy
    assert text_of(copy) == text_of(content)


def test_a_forwarded_text_mentions_nobody() -> None:
    words = Text("@bob x.example", (Mention(0, 4, PEOPLE[0]), Link(5, 9, "https://x.example/")))
    assert forwarded(words, {}) == Text("@bob x.example", (Link(5, 9, "https://x.example/"),))
