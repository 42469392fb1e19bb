"""A datagram of DTLS taken apart into its records (RFC 6347 section 4.1), each of which OpenSSL then reads by itself.

What feeds OpenSSL reads one record for each datagram: of many in one the rest would wait, more with each datagram, and
hold memory for as long as the connection lasts.
"""

from typing import Final

from services.sfu.core.errors import PacketError

# A flight of a handshake has six or so. Raising it allows more work for one datagram; lowering it cuts long flights.
MAX_RECORDS: Final = 16
_HEADER_BYTES: Final = 13
# With another first byte the header is that of DTLS 1.3, which has no place of its own for a length.
_PLAIN_KINDS: Final = range(20, 25)


def split_records(datagram: bytes) -> list[bytes]:
    """The records of a datagram; what is cut short at its end is left out. PacketError("dtls_records"): too many."""
    if not datagram or datagram[0] not in _PLAIN_KINDS:
        return [datagram]
    records: list[bytes] = []
    at = 0
    while at + _HEADER_BYTES <= len(datagram):
        end = at + _HEADER_BYTES + (datagram[at + 11] << 8 | datagram[at + 12])
        if end > len(datagram):
            break
        if len(records) == MAX_RECORDS:
            raise PacketError("dtls_records")
        records.append(datagram[at:end])
        at = end
    return records
