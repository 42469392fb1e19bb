"""No datagram of a data channel costs SCTP more than its share, by counted work; and what clients say passes."""

import asyncio
import struct
import sys
from typing import Any, cast

import pytest
from aiortc import rtcsctptransport as sctp
from google_crc32c import value as crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfu.core.session.channel_guard import (
    BYTES_PER_S,
    CHUNKS_PER_S,
    DATAGRAMS_PER_S,
    MAX_CHUNKS,
    MAX_GAPS,
    MAX_SACK_GAPS,
    MAX_SACKED,
    MAX_STREAMS,
    ChannelGuard,
    is_too_much,
)
from tests.support.examples import examples

# Lines of aiortc's SCTP that one datagram may run.
MOST_LINES = 20_000
CUMULATIVE = 1_000


def chunk(kind: int, body: bytes, length: int | None = None) -> bytes:
    said = len(body) + 4 if length is None else length
    return struct.pack("!BBH", kind, 3, said) + body + bytes(-len(body) % 4)


def data(tsn: int, stream: int = 0, value: bytes = b"x", flags: int = 3) -> bytes:
    body = struct.pack("!LHHL", tsn, stream, 0, 53) + value
    return struct.pack("!BBH", 0, flags, len(body) + 4) + body + bytes(-len(body) % 4)


def sack(*gaps: tuple[int, int]) -> bytes:
    blocks = b"".join(struct.pack("!HH", *gap) for gap in gaps)
    return chunk(3, struct.pack("!LLHH", CUMULATIVE, 65536, len(gaps), 0) + blocks)


def datagram(*chunks: bytes, tag: int = 7) -> bytes:
    head, body = struct.pack("!HHL", 5000, 5000, tag), b"".join(chunks)
    return head + struct.pack("<L", crc32c(head + bytes(4) + body)) + body


class Peer:
    """An association of aiortc as the worker has it, guarded as there, whose work is counted."""

    class _Transport:
        state = "connected"
        _role = "server"

        def _register_data_receiver(self, receiver: object) -> None: ...

        async def _send_data(self, data: bytes) -> None: ...

    def __init__(self) -> None:
        self.guard = ChannelGuard()
        self.sctp = sctp.RTCSctpTransport(cast(Any, self._Transport()), 5000)
        self.sctp._remote_verification_tag, self.sctp._local_verification_tag = 1, 7
        self.sctp._last_received_tsn, self.sctp._remote_port = CUMULATIVE, 5000
        self.sctp._set_state(self.sctp.State.ESTABLISHED)
        self.lines = 0

    async def take(self, said: bytes, now: float) -> str:
        reason = self.guard.admit(said, now)
        if not reason:
            self.lines = 0
            before = sys.gettrace()
            sys.settrace(self._count)
            try:
                await self.sctp._handle_data(said)
            except (AssertionError, ValueError, struct.error, KeyError, IndexError):
                pass
            finally:
                sys.settrace(before)
        return reason

    def _count(self, frame: Any, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename != sctp.__file__:
            return None
        self.lines += event == "line"
        assert self.lines < MOST_LINES, "one datagram costs too much"
        return self._count

    @property
    def is_over(self) -> bool:
        streams = self.sctp._inbound_streams.values()
        return is_too_much(len(self.sctp._sack_misordered), sum(len(s.reassembly) for s in streams), 0)


@pytest.fixture
async def peer() -> Peer:
    return Peer()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (chunk(4, struct.pack("!HH", 1, 0)), "parameters"),
        (chunk(1, bytes(16) + struct.pack("!HH", 1, 0)), "parameters"),
        (chunk(130, struct.pack("!HH", 13, 3)), "parameters"),
        (chunk(9, struct.pack("!HH", 1, 4) * 17), "parameters"),
        (sack(*[(1, 65_535)] * 4), "sack"),
        (sack(*[(1, 2)] * 65), "sack"),
        (chunk(3, struct.pack("!LLHH", 1, 1, 0, 500)), "sack"),
        (data(1_001, stream=MAX_STREAMS), "data"),
        (chunk(192, struct.pack("!L", 2) + struct.pack("!HH", MAX_STREAMS, 1)), "forward_tsn"),
        (chunk(192, bytes(4) + bytes(4) * 17), "forward_tsn"),
        (b"".join(data(1_001 + number) for number in range(MAX_CHUNKS + 1)), "chunks"),
        (chunk(0, b"", length=3), "chunks"),
        (chunk(0, b"", length=400), "chunks"),
    ],
)
def test_what_would_cost_too_much_is_not_read(said: bytes, reason: str) -> None:
    assert ChannelGuard().admit(datagram(said), 0.0) == reason


async def test_what_a_client_says_passes(peer: Peer) -> None:
    said = [
        datagram(data(CUMULATIVE + 1, value=b"s" * 1_000)),
        datagram(*(data(CUMULATIVE + 2 + number, value=b"m" * 20) for number in range(10))),
        datagram(sack((2, 3), (6, 60))),
        datagram(chunk(4, struct.pack("!HH", 1, 8) + b"abcd")),
        datagram(chunk(192, struct.pack("!LHH", CUMULATIVE + 12, 0, 3))),
        datagram(chunk(14, b"")),
    ]
    assert [await peer.take(each, 0.0) for each in said] == [""] * len(said)
    assert not peer.is_over


def test_a_flood_is_cut_and_a_second_later_it_is_heard_again() -> None:
    for each, most in (
        (datagram(data(1_001)), DATAGRAMS_PER_S),
        (datagram(*[data(1_001)] * MAX_CHUNKS), CHUNKS_PER_S // MAX_CHUNKS),
        (datagram(data(1_001, value=bytes(60_000))), BYTES_PER_S // 60_000 + 1),
    ):
        guard = ChannelGuard()
        passed = [guard.admit(each, 1.0) for _ in range(2 * DATAGRAMS_PER_S)].count("")
        assert most <= passed <= most + 1
        assert guard.admit(each, 2.5) == ""


async def test_chunks_with_every_second_one_left_out_end_the_association_soon(peer: Peer) -> None:
    for number in range(40):
        first = CUMULATIVE + 2 + number * 2 * MAX_CHUNKS
        await peer.take(datagram(*(data(first + 2 * index) for index in range(MAX_CHUNKS))), number / 10)
        if peer.is_over:
            break
    assert number * MAX_CHUNKS <= MAX_GAPS


async def test_acknowledgement_of_many_scattered_numbers_is_no_long_walk(peer: Peer) -> None:
    width = MAX_SACKED // MAX_SACK_GAPS
    gaps = [(1 + 2 * width * number, 2 * width * number + width) for number in range(MAX_SACK_GAPS)]
    assert await peer.take(datagram(sack(*gaps)), 0.0) == ""
    assert 0 < peer.lines < MOST_LINES // 2


async def test_parts_of_a_message_that_never_ends_end_the_association(peer: Peer) -> None:
    tsn = CUMULATIVE
    for number in range(40):
        parts = [data(tsn := tsn + 1, flags=2 if tsn == CUMULATIVE + 1 else 0) for _ in range(MAX_CHUNKS)]
        await peer.take(datagram(*parts), number / 10)
        if peer.is_over:
            return
    raise AssertionError("it went on")


def pieces() -> st.SearchStrategy[bytes]:
    """Chunks that are nearly right: of each kind, with numbers at their ends."""
    edge = st.sampled_from([0, 1, 3, 4, 5, 8, 16, 255, 65_535]) | st.integers(0, 65_535)
    wide = st.sampled_from([0, CUMULATIVE, CUMULATIVE + 1, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
    numbers = st.lists(edge, max_size=40).map(lambda some: struct.pack(f"!{len(some)}H", *some))
    return st.one_of(
        st.builds(data, wide, edge, st.binary(max_size=40), st.integers(0, 7)),
        st.lists(st.tuples(edge, edge), max_size=70).map(lambda gaps: sack(*gaps)),
        st.builds(chunk, st.sampled_from([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192, 200]), numbers),
        st.builds(lambda kind, body, length: chunk(kind, body, length), st.integers(0, 255), numbers, edge),
    )


@given(st.lists(st.lists(pieces(), min_size=1, max_size=12), min_size=1, max_size=12))
@settings(max_examples=examples(50), deadline=None)
async def test_no_datagram_costs_more_than_its_share(said: list[list[bytes]]) -> None:
    peer = Peer()
    for number, chunks in enumerate(said):
        await peer.take(datagram(*chunks), number / 10)
        if peer.is_over:
            break
    for task in asyncio.all_tasks() - {cast(Any, asyncio.current_task())}:
        if "sctp" in repr(task).lower():
            task.cancel()
