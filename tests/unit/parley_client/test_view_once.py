"""View-once messages as the client keeps them."""

from __future__ import annotations

from dataclasses import replace

from parley.messaging.v1 import messages_pb2 as wire

from parley_client.inbox import to_entry
from tests.unit.parley_client.fake_edge import message


def picture_message(*opened_by: str) -> wire.Message:
    told = message(1)
    told.text.text = ""
    told.view_once = True
    told.attachments.add(attachment_id="a", content_type="image/png")
    told.opened_by_user_ids.extend(opened_by)
    return told


def test_who_opened_it_is_kept_in_their_order() -> None:
    entry = to_entry(picture_message("bob", "alice"))
    assert (entry.view_once, entry.opened_by, entry.attachments) == (True, ("bob", "alice"), ("a",))
    ordinary = to_entry(message(1))
    assert (ordinary.view_once, ordinary.opened_by) == (False, ())


def test_nothing_of_it_is_shown_once_its_time_is_over() -> None:
    told = picture_message("bob")
    told.expire_time.FromSeconds(1_000)
    gone = to_entry(told).as_of(1_000.0)
    assert (gone.kind, gone.view_once, gone.opened_by) == ("expired", False, ())
    assert gone == replace(gone, attachments=())
