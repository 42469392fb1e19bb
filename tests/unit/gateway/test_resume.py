import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.core.resume import NotResumable, Outcome, ResumeTokens

KEY = b"k" * 32
HERE = ResumeTokens([KEY], b"gateway1")
ELSEWHERE = ResumeTokens([KEY], b"gateway2")
STRANGER = ResumeTokens([b"x" * 32], b"gateway1")


def outcome(token: str, user_id: str = "alice", device_id: str = "phone-01") -> Outcome:
    try:
        HERE.read(token, user_id, device_id)
    except NotResumable as refusal:
        return refusal.outcome
    return Outcome.RESUMED


def test_a_token_names_its_session() -> None:
    assert HERE.read(HERE.issue(17, "alice", "phone-01"), "alice", "phone-01") == 17


def test_another_users_or_devices_token_is_as_good_as_forged() -> None:
    token = HERE.issue(17, "alice", "phone-01")
    assert outcome(token, user_id="mallory") is Outcome.FORGED
    assert outcome(token, device_id="laptop-1") is Outcome.FORGED


def test_a_token_signed_with_another_key_is_forged() -> None:
    assert outcome(STRANGER.issue(17, "alice", "phone-01")) is Outcome.FORGED


def test_a_token_of_another_gateway_is_a_fresh_start() -> None:
    assert outcome(ELSEWHERE.issue(17, "alice", "phone-01")) is Outcome.ELSEWHERE


def test_no_token_is_a_fresh_start() -> None:
    assert outcome("") is Outcome.FRESH


@settings(deadline=None)
@given(st.one_of(st.text(max_size=100), st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode())))
def test_whatever_is_shown_as_a_token_has_an_outcome(token: str) -> None:
    assert outcome(token) is (Outcome.FORGED if token else Outcome.FRESH)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(1, 255))
def test_a_token_with_any_changed_byte_is_forged(index: int, change: int) -> None:
    token = HERE.issue(17, "alice", "phone-01")
    data = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    data[index % len(data)] ^= change
    assert outcome(base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode()) is Outcome.FORGED
