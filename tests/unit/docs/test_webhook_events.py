"""The schema of webhook events says what the service sends."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from parley.calls.v1 import messages_pb2 as calls

from deploy.docs.webhook_events import page, schema
from services.runtime.kafka.bus import Incoming
from services.webhooks.mapping import TYPES, read
from tests.unit.webhooks.events import account_changed, call_changed, presence_changed, sent

VALIDATOR = Draft202012Validator(schema())


def body(record: Incoming) -> Any:
    news = read(record)
    assert news
    event = news.rendered()
    return json.loads(event.body_with_contents or event.body)


@pytest.mark.parametrize(
    "record", [sent(), call_changed(calls.CALL_STATE_ENDED), presence_changed(), account_changed(deleted=True)]
)
def test_what_is_sent_fits_the_schema(record: Incoming) -> None:
    VALIDATOR.validate(body(record))


def test_what_is_not_sent_does_not_fit() -> None:
    said = body(sent())
    for wrong in (said | {"type": "message.unknown"}, said | {"data": []}, {"type": said["type"]}):
        assert not VALIDATOR.is_valid(wrong)
    said["data"]["messageSent"]["message"]["seq"] = 3
    assert not VALIDATOR.is_valid(said)


def test_the_page_has_every_type() -> None:
    text = page()
    assert all(f"`{name}`" in text for name in TYPES)
