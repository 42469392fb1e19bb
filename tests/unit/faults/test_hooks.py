"""The checker's own receiver of webhooks keeps of each what the promises are about."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from parley.calls.v1 import messages_pb2 as calls
from parley.messaging.v1 import messages_pb2 as messaging

from services.runtime.http.webhooks import signed_headers
from services.runtime.kafka.bus import Incoming
from services.webhooks.core.endpoints import parse
from services.webhooks.mapping import MESSAGING_TOPIC, TYPES
from services.webhooks.mapping import read as read_record
from tests.faults.checker.history import Hook
from tests.faults.checker.hooks import Listener, read
from tests.support.webhook_receiver import SECRET
from tests.unit.webhooks.events import CALL, CONVERSATION, account_changed, call_changed, conversation_event, record

NOW_S = 5.0
OTHER_SECRET = "whsec_" + "b" * 32


class Never(Random):
    """No request fails."""

    def random(self) -> float:
        return 1.0


def rendered(incoming: Incoming) -> Any:
    """What webhooks would send of a record."""
    news = read_record(incoming)
    assert news is not None
    return news.rendered()


def kept(incoming: Incoming) -> Hook:
    event = rendered(incoming)
    return read(event.webhook_id, json.loads(event.body), NOW_S)


def message(*, changed: bool) -> Incoming:
    event = conversation_event()
    said = (event.message_changed if changed else event.message_sent).message
    said.CopyFrom(messaging.Message(seq=7, sender_id="alice", client_message_id="m7", revision=3 if changed else 0))
    return record(MESSAGING_TOPIC, CONVERSATION, event)


def test_a_message_is_kept_with_its_place_and_its_senders_id() -> None:
    hook = kept(message(changed=False))
    assert (hook.type, hook.about, hook.place, hook.revision) == ("message.sent", CONVERSATION, 7, 0)
    assert (hook.sender, hook.subject, hook.at_s) == ("alice", "m7", NOW_S)


def test_a_change_is_kept_with_its_revision() -> None:
    hook = kept(message(changed=True))
    assert (hook.type, hook.about, hook.place, hook.revision) == ("message.changed", CONVERSATION, 7, 3)


def test_a_call_and_an_account_are_kept_by_their_ids() -> None:
    ended, deleted = kept(call_changed(calls.CALL_STATE_ENDED)), kept(account_changed(deleted=True))
    assert (ended.type, ended.about) == ("call.ended", CALL)
    assert (deleted.type, deleted.about) == ("account.changed", "alice")


async def post(url: str, incoming: Incoming, secret: str = SECRET) -> int:
    event = rendered(incoming)
    # Now: the receiver believes no old time.
    headers = signed_headers([secret], event.webhook_id, int(time.time()), event.body)
    async with aiohttp.ClientSession() as session, session.post(url, data=event.body, headers=headers) as response:
        return response.status


async def test_the_stack_is_told_of_the_listener_for_as_long_as_it_listens(tmp_path: Path) -> None:
    file = tmp_path / "webhooks.json"
    listener = Listener("network-1", Never(), lambda: NOW_S)
    async with listener.open(file):
        (endpoint,) = parse(file.read_bytes(), TYPES)
        assert await post(endpoint.url, message(changed=False)) == 200
        assert await post(endpoint.url, call_changed(calls.CALL_STATE_ENDED)) == 200
        assert await post(endpoint.url, account_changed(), OTHER_SECRET) == 500
    assert parse(file.read_bytes(), TYPES) == ()
    assert [hook.type for hook in listener.about({CONVERSATION, CALL})] == ["message.sent", "call.ended"]
    assert [hook.type for hook in listener.about({CALL, "alice"})] == ["call.ended"]
    assert listener.disbelieved == (rendered(account_changed()).webhook_id,)
