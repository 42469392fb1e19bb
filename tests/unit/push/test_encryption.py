"""Web Push's encryption, against the vector of RFC 8291 (section 5 and appendix A)."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from services.push.encryption import MAX_BYTES, RECORD_BYTES, NotAKey, encrypt, is_key
from tests.support.push_providers.web_push import Subscription


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


P256DH = decode("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
AUTH = decode("BTBZMqHH6r4Tts7J_aSIgg")
SENDER = ec.derive_private_key(
    int.from_bytes(decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
)
SALT = decode("DGv6ra1nlYgDCS1FRnbzlw")
BODY = decode(
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95"
    "bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_vector_of_the_rfc() -> None:
    assert encrypt(b"When I grow up, I want to be a watermelon", P256DH, AUTH, SENDER, SALT) == BODY


@given(st.binary(max_size=MAX_BYTES))
def test_whoever_subscribed_reads_it_and_push_services_take_it(text: bytes) -> None:
    subscription = Subscription.new("https://push.example.com/1")
    body = encrypt(text, subscription.p256dh, subscription.auth, SENDER, SALT)
    assert len(body) <= RECORD_BYTES
    assert subscription.decrypt(body) == text


def test_a_key_that_is_none() -> None:
    for wrong in (b"", b"\x04" + bytes(64), P256DH[:-1], P256DH + b"x", b"\x02" + P256DH[1:33]):
        assert not is_key(wrong)
    with pytest.raises(NotAKey):
        encrypt(b"", b"\x04" + bytes(64), AUTH, SENDER, SALT)
    assert is_key(P256DH)
