"""Voice messages as the client sends and keeps them."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from parley.messaging.v1 import messages_pb2 as wire

from parley_client import NewVoice, Voice
from parley_client.inbox import to_entry
from parley_client.messaging import send_request
from tests.unit.parley_client.fake_edge import message

SPOKEN = wire.VoiceContent(attachment_id="a", length=Duration(seconds=2, nanos=500_000_000), waveform=b"\x00\xff")


def voice_message() -> wire.Message:
    told = message(1)
    told.voice.CopyFrom(SPOKEN)
    told.attachments.add(attachment_id="a", content_type="audio/ogg")
    return told


def test_a_voice_message_is_sent_with_its_sound() -> None:
    request = send_request("c1", NewVoice("a", 2.5, b"\x00\xff", reply_to_seq=3), "k")
    assert request.WhichOneof("content") == "voice"
    assert (request.voice, list(request.attachment_ids)) == (SPOKEN, ["a"])
    assert (request.conversation_id, request.client_message_id, request.reply_to_seq) == ("c1", "k", 3)


def test_it_is_kept_with_its_length() -> None:
    entry = to_entry(voice_message())
    assert (entry.kind, entry.text, entry.voice, entry.attachments) == ("voice", None, Voice(2.5, b"\x00\xff"), ("a",))
    assert to_entry(message(1)).voice is None


def test_nothing_of_it_is_shown_once_its_time_is_over() -> None:
    told = voice_message()
    told.expire_time.FromSeconds(1_000)
    gone = to_entry(told).as_of(1_000.0)
    assert (gone.kind, gone.voice, gone.attachments) == ("expired", None, ())
