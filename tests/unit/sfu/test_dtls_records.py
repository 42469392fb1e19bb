import pytest

from services.sfu.core.errors import PacketError
from services.sfu.core.wire.dtls_records import MAX_RECORDS, split_records


def record(body: bytes, kind: int = 22) -> bytes:
    """A record of DTLS 1.2 (RFC 6347 section 4.1)."""
    return bytes((kind, 0xFE, 0xFD)) + bytes(8) + len(body).to_bytes(2, "big") + body


def test_records_of_a_datagram_are_taken_apart() -> None:
    records = [record(b"hello"), record(b"", 20), record(bytes(300))]
    assert split_records(b"".join(records)) == records


def test_what_is_cut_short_at_the_end_is_left_out() -> None:
    assert split_records(record(b"hello") + record(b"world")[:-1]) == [record(b"hello")]
    assert split_records(record(b"hello")[:5]) == []


def test_other_headers_are_left_as_they_are() -> None:
    """DTLS 1.3 (RFC 9147 section 4) has its own header, which OpenSSL reads."""
    assert split_records(b"\x2f\x01\x02") == [b"\x2f\x01\x02"]


def test_no_datagram_holds_more_than_a_flight() -> None:
    assert len(split_records(record(b"x") * MAX_RECORDS)) == MAX_RECORDS
    with pytest.raises(PacketError, match="dtls_records"):
        split_records(record(b"x") * (MAX_RECORDS + 1))
