"""Messages that are sent at a time, and drafts, from device to device."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from parley.gateway.v1 import messages_pb2 as events
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import scheduled_pb2 as api
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.record import StackRecord
from parley_client import Failure, ParleyClient, TokenProvider, dev_tokens
from parley_client.stream import EventStream
from tests.integration.api.conftest import DEADLINE_S, World, new_user


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


async def test_a_message_is_told_to_ones_own_devices_sent_once_and_kept_when_it_is_refused(
    world: World, record: StackRecord
) -> None:
    url = f"http://{record.edge_address}"
    alice, bob = new_user(), new_user()
    told: list[api.ScheduledMessage] = []
    bobs: list[events.DeviceEvent] = []

    def of(user_id: str) -> TokenProvider:
        return dev_tokens(user_id, url)

    def take(event: events.DeviceEvent) -> None:
        if event.HasField("scheduled_message"):
            told.append(event.scheduled_message)

    async with (
        ParleyClient(alice, tokens=of(alice), base_url=url, device_id="phone-0001") as phone,
        ParleyClient(alice, tokens=of(alice), base_url=url, device_id="tablet-001", on_event=take) as tablet,
        ParleyClient(bob, tokens=of(bob), base_url=url, on_event=bobs.append) as other,
    ):
        room = await phone.messaging.open_direct(bob)
        await phone.messaging.send(room, "before")
        kept = await phone.scheduled.schedule(room, "later", in_days(29), client_message_id="k")
        assert kept is not None
        await tablet.until(lambda: len(told) == 1, DEADLINE_S, "the tablet is told")
        assert (told[0].message.text.text, told[0].state) == ("later", api.SCHEDULED_STATE_WAITING)
        with pytest.raises(Failure, match="send_time"):
            await tablet.scheduled.change(room, "k", send_time=in_days(31))
        await tablet.scheduled.change(room, "k", draft="now", send_time=in_days(-1))
        await other.until(lambda: len(other.messaging.store.history(room).shown) == 2, DEADLINE_S, "it is sent")
        assert [entry.text for entry in other.messaging.store.history(room).shown] == ["before", "now"]
        await tablet.until(lambda: told[-1].state == api.SCHEDULED_STATE_GONE, DEADLINE_S, "it is gone at the tablet")
        assert await phone.scheduled.list() == []
        # A retry of the first request finds what was sent.
        assert await phone.scheduled.schedule(room, "later", in_days(1), client_message_id="k") is None
        with pytest.raises(Failure, match="SCHEDULED_SENT"):
            await phone.scheduled.cancel(room, "k")

        await phone.scheduled.schedule(room, "refused", in_days(1), client_message_id="r")
        await other.relations.block(alice)
        await phone.scheduled.change(room, "r", send_time=in_days(-1))
        is_refused = lambda: told[-1].state == api.SCHEDULED_STATE_REFUSED  # noqa: E731
        await tablet.until(is_refused, DEADLINE_S, "the tablet is told of the refusal")
        (refused,) = await tablet.scheduled.list()
        assert (refused.refusal_reason, refused.message.text.text) == ("NOT_ALLOWED", "refused")
        await tablet.scheduled.cancel(room, "r")
        assert await phone.scheduled.list() == []
        assert [entry.text for entry in other.messaging.store.history(room).shown] == ["before", "now"]
        assert not [event for event in bobs if event.HasField("scheduled_message")]


async def test_a_draft_is_on_all_of_ones_devices_and_gone_when_it_is_sent(world: World) -> None:
    alice, bob, room = await world.pair_online()
    heard: list[messages.Draft] = []
    tablet = world.device(alice.user_id)

    def take(event: events.DeviceEvent, _now_s: float) -> None:
        if event.HasField("draft"):
            heard.append(event.draft)

    async with EventStream(tablet, on_event=take) as stream:
        await stream.until_current(DEADLINE_S)
        for text in ("half", "half a thought", ""):
            request = messaging.SetDraftRequest(conversation_id=room, text=text)
            await alice.device.messaging.SetDraft(request)
            listed = await alice.device.messaging.ListDrafts(messaging.ListDraftsRequest())
            assert [draft.text for draft in listed.drafts] == ([text] if text else [])
        await stream.until(lambda: len(heard) == 3, DEADLINE_S, "the tablet is told")
    assert [draft.text for draft in heard] == ["half", "half a thought", ""]
    assert not (await bob.device.messaging.ListDrafts(messaging.ListDraftsRequest())).drafts
