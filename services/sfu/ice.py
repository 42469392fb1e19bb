"""The ICE-lite responder on aioice's STUN messages (RFC 8445 section 7.3, RFC 8489)."""

import struct

from aioice import stun

from services.sfu.core.addresses import AddressBook, Route
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import Address

_MAGIC_COOKIE = b"\x21\x12\xa4\x42"


def answer_check(datagram: bytes, source: Address, book: AddressBook) -> tuple[Route, bool, bytes]:
    """The route that a binding request proves, whether it nominates, and the response.

    Raises PacketError: stun_malformed, stun_unexpected, stun_unknown_ufrag, stun_forged.
    """
    request = _parse(datagram)
    if request.message_method != stun.Method.BINDING or request.message_class != stun.Class.REQUEST:
        raise PacketError("stun_unexpected")
    route = book.find_by_username(str(request.attributes.get("USERNAME", "")))
    if route is None:
        raise PacketError("stun_unknown_ufrag")
    key = route.ice_pwd.encode()
    if not request.check_message_integrity(key):
        raise PacketError("stun_forged")
    response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = _as_seen_by_the_client(source)
    response.add_message_integrity(key)
    return route, "USE-CANDIDATE" in request.attributes, bytes(response)


def _as_seen_by_the_client(source: Address) -> Address:
    """An IPv4 address that came to a socket of both families is one of IPv4 again (RFC 4291 section 2.5.5.2)."""
    host, port = source
    return host.removeprefix("::ffff:") if "." in host else host, port


def _parse(datagram: bytes) -> stun.Message:
    if len(datagram) < stun.HEADER_LENGTH or datagram[4:8] != _MAGIC_COOKIE:
        raise PacketError("stun_malformed")
    try:
        return stun.parse_message(datagram)
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise PacketError("stun_malformed") from error
