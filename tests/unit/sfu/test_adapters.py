"""The thin adapters around libraries: STUN, SRTP, the socket's batches, the channel's messages, the configuration."""

import errno
import socket
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pylibsrtp
import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st
from parley.sfu.v1 import channel_pb2

from services.runtime.env import ConfigError
from services.sfu.batch import MAX_SEGMENTED_BYTES, MAX_SEGMENTS, Batch, SendmmsgBatch, SendtoBatch, segment
from services.sfu.channel import MuteState, decode_message, encode_slot_map, encode_speakers
from services.sfu.config import Config
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import ParticipantNumber, UserId
from services.sfu.core.selection.video_requests import MAX_VIDEO_REQUESTS, VideoRequest, VideoRequests
from services.sfu.core.session.addresses import AddressBook, Route
from services.sfu.core.session.participants import ReceiveQuality, SlotEntry
from services.sfu.ice import answer_check
from services.sfu.srtp import PacketBuffer, SrtpSession
from services.sfu.udp import (
    BATCH_SIZE,
    Inbox,
    RecvfromInbox,
    RecvmmsgInbox,
    decode_sockaddr,
    encode_sockaddr,
    ffi,
    open_socket,
)
from tests.unit.sfu.builders import key, rtp

SOURCE = ("192.0.2.7", 4444)
ROUTE = Route(ParticipantNumber(1), "ours", "password")
BOOK = AddressBook()
BOOK.add_route(ROUTE)


def check(password: str = "password") -> bytes:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = "ours:theirs"
    request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(password.encode())
    return bytes(request)


def test_check_is_answered_with_the_mapped_address_under_our_password() -> None:
    route, is_nominated, response = answer_check(check(), SOURCE, BOOK)
    assert route is ROUTE
    assert is_nominated
    answer = stun.parse_message(response)
    assert answer.check_message_integrity(b"password")
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == SOURCE


@given(st.data())
def test_damaged_checks_are_refused_and_nothing_else(data: st.DataObject) -> None:
    datagram = bytearray(check())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(datagram) - 1))
        datagram[at] ^= data.draw(st.integers(1, 255))
    damaged = bytes(datagram[: data.draw(st.integers(0, len(datagram)))])
    try:
        answer_check(damaged, SOURCE, BOOK)
    except PacketError as error:
        reason = error.reason
    else:
        # The damage cancelled itself, or lay in what is not authenticated.
        return
    assert reason.startswith("stun_")


@given(st.binary(max_size=300))
def test_any_stun_bytes_are_refused(body: bytes) -> None:
    for datagram in (body, struct.pack("!HHI", 1, len(body) + 8 - 20 & 0xFFFF, 0x2112A442) + bytes(12) + body):
        with pytest.raises(PacketError):
            answer_check(datagram, SOURCE, BOOK)


def srtp_session(profile: int, key_size: int) -> SrtpSession:
    def session(ssrc_type: int) -> pylibsrtp.Session:
        policy = pylibsrtp.Policy(key=bytes(key_size), ssrc_type=ssrc_type, srtp_profile=profile)
        policy.allow_repeat_tx = True
        return pylibsrtp.Session(policy)

    return SrtpSession(session(pylibsrtp.Policy.SSRC_ANY_INBOUND), session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND))


def fill(data: bytes) -> PacketBuffer:
    buffer = PacketBuffer()
    buffer.view[: len(data)] = data
    return buffer


@pytest.mark.parametrize(
    ("profile", "key_size"),
    [
        (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
        (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    ],
)
def test_srtp_round_trip_replay_and_forgery(profile: int, key_size: int) -> None:
    session = srtp_session(profile, key_size)
    clear = rtp(7, 1000, b"opus" * 20)
    buffer = fill(clear)
    protected = bytes(buffer.view[: session.protect_rtp(buffer, len(clear))])
    again = fill(clear)
    assert bytes(again.view[: session.protect_rtp(again, len(clear))]) == protected
    assert session.unprotect_rtp(fill(protected), len(protected)) == clear
    with pytest.raises(PacketError, match="srtp_replayed"):
        session.unprotect_rtp(fill(protected), len(protected))
    forged = protected[:3] + bytes((protected[3] ^ 1,)) + protected[4:]
    with pytest.raises(PacketError, match="srtp_forged"):
        session.unprotect_rtp(fill(forged), len(forged))


def test_stream_that_is_forgotten_leaves_nothing_behind() -> None:
    session = srtp_session(pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28)
    clear = rtp(0x01020304, 1000, b"opus" * 20)
    buffer = fill(clear)
    protected = bytes(buffer.view[: session.protect_rtp(buffer, len(clear))])
    assert session.unprotect_rtp(fill(protected), len(protected)) == clear
    session.forget(b"\x04\x03\x02\x01")
    with pytest.raises(PacketError, match="srtp_replayed"):
        session.unprotect_rtp(fill(protected), len(protected))
    session.forget(b"\x01\x02\x03\x04")
    assert session.unprotect_rtp(fill(protected), len(protected)) == clear


@given(st.binary(max_size=120), st.booleans())
def test_any_bytes_are_refused_by_srtp(body: bytes, is_control: bool) -> None:
    session = srtp_session(pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28)
    datagram = (b"\x80\xc8" if is_control else b"\x90\x60") + body
    unprotect = session.unprotect_rtcp if is_control else session.unprotect_rtp
    with pytest.raises(PacketError):
        unprotect(fill(datagram), len(datagram))


@pytest.mark.parametrize("kind", [SendmmsgBatch, SendtoBatch])
def test_batches_send_all_in_order_and_count_what_cannot_go(kind: type[SendmmsgBatch] | type[SendtoBatch]) -> None:
    dropped: list[int] = []
    with open_socket(("127.0.0.1", 0)) as sender, open_socket(("127.0.0.1", 0)) as receiver:
        batch: Batch = kind(sender, dropped.append)
        destination = encode_sockaddr(socket.AF_INET, receiver.getsockname())
        for number in range(BATCH_SIZE * 2 + 5):
            (buffer,) = batch.claim(1)
            buffer.view[:2] = number.to_bytes(2, "big")
            batch.commit((2,), destination)
            if number == 3:
                (buffer,) = batch.claim(1)
                batch.commit((2,), encode_sockaddr(socket.AF_INET, ("255.255.255.255", 9)))
        batch.flush()
        received = [int.from_bytes(receiver.recv(10), "big") for _ in range(BATCH_SIZE * 2 + 5)]
    assert received == list(range(BATCH_SIZE * 2 + 5))
    assert sum(dropped) == 1


@pytest.mark.parametrize("kind", [SendmmsgBatch, partial(SendmmsgBatch, max_segments=1), SendtoBatch])
def test_bursts_arrive_as_the_packets_they_were(kind: Callable[..., Batch]) -> None:
    bursts = [[9, 9, 9], [9, 9, 5], [5, 9, 9, 3, 3], [7, 0, 7], [1100] * 100, [4]]
    dropped: list[int] = []
    with open_socket(("127.0.0.1", 0)) as sender, open_socket(("127.0.0.1", 0)) as receiver:
        batch = kind(sender, dropped.append)
        sent = []
        for number, sizes in enumerate(bursts):
            for place, (buffer, size) in enumerate(zip(batch.claim(len(sizes)), sizes, strict=True)):
                buffer.view[:size] = bytes((16 * number + place % 16,)) * size
                sent += [bytes(buffer.view[:size])] if size else []
            batch.commit(sizes, encode_sockaddr(socket.AF_INET, receiver.getsockname()))
            batch.claim(2)
            # Nobody is there: the burst is lost, and nothing else.
            batch.commit([3, 3], encode_sockaddr(socket.AF_INET, ("127.0.0.1", 0)))
        assert batch.flush() == (len(sent) + 2 * len(bursts), sum(map(len, sent)) + 6 * len(bursts))
        received = [receiver.recv(2000) for _ in sent]
    assert received == sent
    assert sum(dropped) == 2 * len(bursts)


class RefusingLibc:
    """The system's, but that it refuses the first segmented messages, one with each of these errors."""

    def __init__(self, errors: Sequence[int]) -> None:
        self._errors = list(errors)
        self._libc: Any = ffi.dlopen(None)
        # Packets of each message that was taken.
        self.taken: list[int] = []

    def sendmmsg(self, descriptor: int, headers: Any, count: int, flags: int) -> int:
        sizes = [int(headers[place].msg_hdr.msg_iovlen) for place in range(count)]
        if self._errors and sizes[0] > 1:
            ffi.errno = self._errors.pop(0)
            return -1
        # As the kernel does, which stops in front of what it refuses.
        first_refused = next((place for place, size in enumerate(sizes) if size > 1), count) if self._errors else count
        sent = int(self._libc.sendmmsg(descriptor, headers, first_refused, flags))
        self.taken += sizes[:sent]
        return sent


@pytest.mark.parametrize(
    ("error", "later_messages"), [(errno.EIO, [1, 1, 1]), (errno.EINVAL, [3]), (errno.EMSGSIZE, [3])]
)
def test_packets_of_a_refused_message_go_one_by_one_and_only_eio_ends_segmenting(
    error: int, later_messages: list[int]
) -> None:
    dropped: list[int] = []
    libc = RefusingLibc([error])
    with open_socket(("127.0.0.1", 0)) as sender, open_socket(("127.0.0.1", 0)) as receiver:
        batch = SendmmsgBatch(sender, dropped.append, MAX_SEGMENTS, libc)
        destination = encode_sockaddr(socket.AF_INET, receiver.getsockname())

        def put(first: int, sizes: list[int]) -> None:
            for place, (buffer, size) in enumerate(zip(batch.claim(len(sizes)), sizes, strict=True)):
                buffer.view[:size] = bytes((first + place,)) * size
            batch.commit(sizes, destination)

        put(0, [9])
        put(1, [9, 9, 5])
        put(4, [7])
        assert batch.flush() == (5, 39)
        assert libc.taken == [1, 1], "the refused three went by themselves"
        libc.taken.clear()
        put(5, [9, 9, 9])
        assert batch.flush() == (3, 27)
        assert libc.taken == later_messages
        received = [receiver.recv(2000) for _ in range(8)]
    assert received == [bytes((number,)) * size for number, size in enumerate([9, 9, 9, 5, 7, 9, 9, 9])]
    assert not dropped


def test_a_message_that_is_refused_for_another_reason_is_dropped_and_counted_whole() -> None:
    dropped: list[int] = []
    libc = RefusingLibc([errno.EPERM])
    with open_socket(("127.0.0.1", 0)) as sender, open_socket(("127.0.0.1", 0)) as receiver:
        batch = SendmmsgBatch(sender, dropped.append, MAX_SEGMENTS, libc)
        for _ in range(2):
            for buffer in batch.claim(4):
                buffer.view[:2] = b"ok"
            batch.commit([2] * 4, encode_sockaddr(socket.AF_INET, receiver.getsockname()))
        batch.flush()
        assert [receiver.recv(10) for _ in range(4)] == [b"ok"] * 4
    assert dropped == [4]
    assert libc.taken == [4]


@given(st.lists(st.integers(0, 1200), max_size=BATCH_SIZE), st.integers(1, MAX_SEGMENTS))
def test_a_segmented_message_is_cut_up_into_what_was_put_in(sizes: list[int], most: int) -> None:
    cut: list[tuple[int, int]] = []
    for first, count, each in segment(tuple(sizes), most):
        together = sizes[first : first + count]
        assert count <= most
        assert sum(together) <= MAX_SEGMENTED_BYTES
        assert all(size == each for size in together[:-1])
        assert 0 < together[-1] <= each
        cut += enumerate(together, start=first)
    assert cut == [(place, size) for place, size in enumerate(sizes) if size]


@pytest.mark.parametrize("kind", [RecvmmsgInbox, RecvfromInbox])
def test_inboxes_give_what_came_with_its_sources(kind: type[RecvmmsgInbox] | type[RecvfromInbox]) -> None:
    with open_socket(("127.0.0.1", 0)) as receiver, open_socket(("127.0.0.1", 0)) as sender:
        inbox: Inbox = kind(receiver)
        assert not inbox.receive()
        sent = [bytes(size) for size in range(1, BATCH_SIZE + 9)]
        for datagram in sent:
            sender.sendto(datagram, receiver.getsockname())
        received = []
        while datagrams := inbox.receive():
            for buffer, size, source in datagrams:
                received.append(bytes(buffer.view[:size]))
                assert decode_sockaddr(source) == sender.getsockname()
    assert received == sent


@pytest.mark.parametrize("address", [("1.2.3.4", 258), ("2001:db8::7", 65535)])
def test_raw_addresses_are_read_as_they_were_written(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    assert decode_sockaddr(encode_sockaddr(family, address)) == address


def test_addresses_are_encoded_as_the_kernel_wants_them() -> None:
    assert encode_sockaddr(socket.AF_INET, ("1.2.3.4", 258))[2:8] == b"\x01\x02\x01\x02\x03\x04"
    assert len(encode_sockaddr(socket.AF_INET, ("1.2.3.4", 1))) == 16
    assert len(encode_sockaddr(socket.AF_INET6, ("::1", 1))) == 28


def test_slot_map_names_publishers_and_leaves_free_slots_empty() -> None:
    message = channel_pb2.ChannelMessage.FromString(
        encode_slot_map([SlotEntry("2", key("ann"), True), SlotEntry("3", None, False)])
    )
    first, second = message.slot_map.slots
    assert (first.mid, first.user_id, first.device_id, first.muted) == ("2", "ann", "d1", True)
    assert (second.mid, second.user_id, second.muted) == ("3", "", False)


def test_only_what_clients_say_is_taken_from_them() -> None:
    state = channel_pb2.MediaState(audio_muted=True)
    assert decode_message(channel_pb2.ChannelMessage(media_state=state).SerializeToString()) == MuteState(True, False)
    for message in (b"", b"\xff\xff", encode_slot_map([]), encode_speakers([key("ann")]), bytes(9000)):
        assert decode_message(message) is None


def test_requested_videos_are_read_and_their_number_is_bounded() -> None:
    request = channel_pb2.VideoRequest(
        user_id="ann", source=channel_pb2.VIDEO_SOURCE_SCREEN, max_height=-5, pinned=True
    )
    pending = channel_pb2.SetVideoSlots(requests=[request] * 100, max_streams=2)
    requested = decode_message(channel_pb2.ChannelMessage(set_video_slots=pending).SerializeToString())
    assert isinstance(requested, VideoRequests)
    assert (len(requested.requests), requested.max_streams) == (MAX_VIDEO_REQUESTS, 2)
    assert requested.requests[0] == VideoRequest(UserId("ann"), "", True, 0, True)


@pytest.mark.parametrize(("said", "kept"), [(0.25, 0.25), (7.0, 1.0), (-1.0, 0.0), (float("nan"), 0.0)])
def test_what_players_saw_is_taken_within_bounds(said: float, kept: float) -> None:
    quality = channel_pb2.ReceiveQuality(frozen_ratio=said, concealed_ratio=said)
    message = channel_pb2.ChannelMessage(receive_quality=quality).SerializeToString()
    assert decode_message(message) == ReceiveQuality(kept, kept)


@given(st.binary(max_size=60))
def test_any_channel_message_is_taken_or_passed_over(message: bytes) -> None:
    decode_message(message)


def test_configuration_names_all_its_faults_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env(
            {
                "PARLEY_SFU_PUBLIC_IP": "example.org",
                "PARLEY_SFU_MAX_PARTICIPANTS": "0",
                "PARLEY_SFU_VIDEO_CODECS": "vp9,h265",
            }
        )
    names = (
        "SERVICE_PUBLIC_KEYS_FILE",
        "KAFKA_BOOTSTRAP",
        "WORKER_ID",
        "PUBLIC_IP",
        "MAX_PARTICIPANTS",
        "VIDEO_CODECS",
    )
    for name in names:
        assert name in str(caught.value)
