"""What columns hold: messages of their own, byte for byte what stood there when they held messages of the API."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message as ProtoMessage
from parley.messaging.storage.v1 import storage_pb2 as stored
from parley.messaging.v1 import messages_pb2 as api

from services.messaging.kernel.content import (
    CallOutcome,
    CallRecord,
    Content,
    Link,
    LinkPreview,
    Mention,
    Poll,
    Sticker,
    SystemContent,
    SystemKind,
    Text,
    Voice,
    kind_of,
)
from services.messaging.kernel.model import Attachment, AttachmentId, UserId
from services.messaging.kernel.role import Role
from services.messaging.wire.api import attachment_message
from services.messaging.wire.contents import FORMS, text_message
from services.messaging.wire.storage import (
    attachment_bytes,
    entity_bytes,
    from_columns,
    to_attachments,
    to_columns,
    to_text,
)

MESSAGING = Path(__file__).resolve().parents[3] / "services" / "messaging"
PEOPLE = (UserId("bob"), UserId("carol"))
TEXT = Text("hello you there", (Mention(0, 5, PEOPLE[0]), Link(6, 3, "https://example.com/")))
FILES = (
    Attachment(AttachmentId(UUID(int=1)), "a.png", "image/png", 10, 4, 3),
    Attachment(AttachmentId(UUID(int=2)), "b.ogg", "audio/ogg", 11, length=timedelta(seconds=2, milliseconds=5)),
)
FORWARDED = Attachment(AttachmentId(UUID(int=3)), "c.png", "image/png", 12, object_id=AttachmentId(UUID(int=1)))
# What stood in each column before: a message of the API.
BEFORE: dict[type[ProtoMessage], type[ProtoMessage]] = {
    stored.TextEntities: api.TextContent,
    stored.Attachments: api.Message,
    stored.Voice: api.VoiceContent,
    stored.CallRecord: api.CallContent,
    stored.Line: api.SystemContent,
}
# Of kinds that came afterwards: what never stood in a column as a message of the API.
SINCE = {"Poll", "Sticker"}
# Fields that came afterwards, and that the API does not have.
SINCE_FIELDS = {"Attachment.object_id"}
# Every outcome of a call, every line, with every role.
SAMPLES: list[tuple[str, Content]] = [
    ("content", Voice(AttachmentId(UUID(int=7)), timedelta(seconds=61.5), b"\x00\xff")),
    ("content", Voice(None, timedelta(0))),
    ("content", Poll("Where \u2603?", ("here", "there"))),
    ("content", Poll("When?", ("now", "later", "never"), True)),
    ("content", Sticker("https://x.example/a.gif?b=%20", 480, 270, "A \u2603 melts", "id-7")),
    ("content", Sticker("", 1, 1, "x")),
    *(("call", CallRecord(UUID(int=5), True, outcome, timedelta(minutes=3), PEOPLE)) for outcome in CallOutcome),
    ("call", CallRecord(UUID(int=5), False, CallOutcome.MISSED, timedelta(0))),
    ("line", SystemContent(SystemKind.CREATED)),
    ("line", SystemContent(SystemKind.ADDED, PEOPLE)),
    ("line", SystemContent(SystemKind.REMOVED, PEOPLE[:1])),
    ("line", SystemContent(SystemKind.LEFT)),
    ("line", SystemContent(SystemKind.JOINED)),
    ("line", SystemContent(SystemKind.RENAMED, title="Trip \u2603")),
    *(("line", SystemContent(SystemKind.ROLE_CHANGED, PEOPLE[:1], role=role)) for role in Role),
    ("line", SystemContent(SystemKind.VANISHING_CHANGED, vanish_after=timedelta(days=7))),
    ("line", SystemContent(SystemKind.PINNED, seq=7)),
]


@pytest.mark.parametrize(("column", "content"), SAMPLES)
def test_what_an_older_release_stored_is_read_and_the_other_way(column: str, content: Content) -> None:
    told = FORMS[kind_of(content).name]
    before = told.to_wire(content).SerializeToString()
    assert to_columns(content)._asdict()[column] == before
    row = {**to_columns(content)._asdict(), column: before}
    assert from_columns(row) == content
    assert told.from_wire(told.wire.FromString(to_columns(content)._asdict()[column])) == content


def test_entities_that_an_older_release_stored_are_read_and_the_other_way() -> None:
    before = api.TextContent(entities=text_message(TEXT).entities).SerializeToString()
    assert entity_bytes(TEXT) == before
    assert to_text(TEXT.text, before) == TEXT
    assert to_columns(TEXT) == ("text", TEXT.text, before, None, None, None)


def test_a_preview_is_stored_beside_the_entities_and_an_older_release_reads_the_rest() -> None:
    text = replace(TEXT, preview=LinkPreview("https://example.com/", "Example \u2603", "An example", "Examples"))
    written = entity_bytes(text)
    assert (
        written
        == api.TextContent(entities=text_message(TEXT).entities, preview=text_message(text).preview).SerializeToString()
    )
    assert to_text(TEXT.text, written) == text
    rest = api.TextContent.FromString(written)
    rest.ClearField("preview")
    assert to_text(TEXT.text, rest.SerializeToString()) == TEXT


def test_attachments_that_an_older_release_stored_are_read_and_the_other_way() -> None:
    before = api.Message(attachments=[attachment_message(each) for each in FILES]).SerializeToString()
    assert attachment_bytes(FILES) == before
    assert to_attachments(before) == FILES


def test_a_forwarded_file_keeps_whose_bytes_it_has_and_an_older_release_reads_the_rest() -> None:
    written = attachment_bytes([FORWARDED])
    assert to_attachments(written) == (FORWARDED,)
    (told,) = api.Message.FromString(written).attachments
    told.DiscardUnknownFields()
    assert told == attachment_message(FORWARDED)


def test_every_line_is_among_the_samples() -> None:
    assert {content.kind for _, content in SAMPLES if isinstance(content, SystemContent)} == set(SystemKind)


@pytest.mark.parametrize("message", BEFORE, ids=lambda message: message.DESCRIPTOR.name)
def test_stored_fields_have_the_numbers_and_types_of_what_stood_there(message: type[ProtoMessage]) -> None:
    assert set(_differences(message.DESCRIPTOR, BEFORE[message].DESCRIPTOR)) <= SINCE_FIELDS


def test_every_stored_message_is_looked_at() -> None:
    seen: set[str] = set()
    waiting = [message.DESCRIPTOR for message in BEFORE]
    while waiting:
        message = waiting.pop()
        seen.add(message.name)
        waiting += [
            field.message_type
            for field in message.fields
            if field.message_type and field.message_type.file is stored.DESCRIPTOR
        ]
    assert seen | SINCE == set(stored.DESCRIPTOR.message_types_by_name)


def test_no_column_is_written_with_a_message_of_the_api() -> None:
    modules = [path for path in MESSAGING.rglob("*.py") if "sql" in path.relative_to(MESSAGING).with_suffix("").parts]
    assert len(modules) > 10
    for path in [*modules, MESSAGING / "wire" / "storage.py"]:
        tree = ast.parse(path.read_text())
        named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        parley = {name for name in named if name.split(".")[0] == "parley"}
        assert parley <= ({"parley.messaging.storage.v1"} if path.stem == "storage" else set()), path


def _differences(one: Any, other: Any) -> Iterator[str]:
    """What a reader of the other would read otherwise; the other may have more fields."""
    if one is other:
        return
    for field in one.fields:
        twin = other.fields_by_number.get(field.number)
        if twin is None or _shape(field) != _shape(twin) or _enum(field.enum_type) != _enum(twin.enum_type):
            yield f"{one.name}.{field.name}"
        elif field.message_type:
            yield from _differences(field.message_type, twin.message_type)


def _shape(field: FieldDescriptor) -> tuple[object, ...]:
    return field.name, field.type, field.is_repeated, field.containing_oneof and field.containing_oneof.name


def _enum(enum: EnumDescriptor | None) -> dict[str, int]:
    return {value.name: value.number for value in enum.values} if enum else {}
