"""Datagrams between workers: only what the other end sealed, and that once."""

import pytest

from services.sfu.core.errors import PacketError
from services.sfu.relay_cipher import FIRST_BYTE, OVERHEAD, Opener, Sealer, leg_id_of

LEG, KEY = b"leg-leg-", bytes(range(16))


def refused(opener: Opener, datagram: bytes) -> str:
    with pytest.raises(PacketError) as caught:
        opener.open(datagram)
    return caught.value.reason


def test_what_is_sealed_is_opened_and_names_its_leg() -> None:
    datagram = Sealer(LEG, KEY, 5).seal(b"frame")
    assert (datagram[0], len(datagram)) == (FIRST_BYTE, len(b"frame") + OVERHEAD)
    assert leg_id_of(datagram) == LEG
    assert Opener(KEY).open(datagram) == b"frame"


def test_the_same_frame_is_never_sealed_to_the_same_bytes() -> None:
    sealer = Sealer(LEG, KEY, 5)
    assert len({sealer.seal(b"frame") for _ in range(100)}) == 100


def test_nothing_is_opened_twice() -> None:
    datagram, opener = Sealer(LEG, KEY, 5).seal(b"frame"), Opener(KEY)
    opener.open(datagram)
    assert refused(opener, datagram) == "relay_replayed"


def test_a_sender_that_begins_anew_is_heard_and_what_it_sent_before_is_not() -> None:
    opener, former = Opener(KEY), Sealer(LEG, KEY, 5)
    opener.open(former.seal(b"1"))
    kept = former.seal(b"2")
    assert opener.open(Sealer(LEG, KEY, 6).seal(b"3")) == b"3"
    assert refused(opener, kept) == "relay_replayed"


@pytest.mark.parametrize("at", [1, 8, 9, 14, 15, 20, 21, -1])
def test_a_changed_bit_anywhere_is_refused_and_moves_no_window(at: int) -> None:
    sealer, opener = Sealer(LEG, KEY, 5), Opener(KEY)
    datagram = bytearray(sealer.seal(b"frame"))
    datagram[at] ^= 1
    assert refused(opener, bytes(datagram)) == "relay_forged"
    assert opener.open(sealer.seal(b"next")) == b"next"


def test_another_key_opens_nothing() -> None:
    assert refused(Opener(bytes(16)), Sealer(LEG, KEY, 5).seal(b"frame")) == "relay_forged"


def test_what_is_cut_short_is_refused() -> None:
    with pytest.raises(PacketError):
        leg_id_of(Sealer(LEG, KEY, 5).seal(b"")[:-1])
