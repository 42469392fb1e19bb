"""Join tokens: what they carry, and what is not taken for one."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signaling.core.errors import JoinTokenInvalid
from services.signaling.core.grants import Claims
from services.signaling.core.model import CallId
from services.signaling.join_tokens import JwtJoinTokens
from tests.support.identities import keys_of, sign
from tests.unit.signaling.fakes import ALICE, PHONE, WORKER

KIND = "parley-join+jwt"
TOKENS = JwtJoinTokens(keys_of("signaling"))
ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
CLAIMS = Claims(CallId("call"), ALICE, PHONE, WORKER.worker_id, ISSUED, ISSUED + timedelta(minutes=1), "one")
PAYLOAD = {
    "iss": "parley-signaling",
    "aud": "parley-sfu",
    "sub": "alice",
    "call": "call",
    "device": "phone-01",
    "worker": "sfu-1",
    "iat": int(ISSUED.timestamp()),
    "exp": int(CLAIMS.expire_time.timestamp()),
    "jti": "one",
}


def test_a_token_says_what_was_signed_in_the_agreed_claims() -> None:
    token = TOKENS.sign(CLAIMS)
    assert TOKENS.read(token) == CLAIMS
    assert keys_of("sfu").decode(token, KIND, audience="parley-sfu", required=()) == ("signaling", PAYLOAD)


@pytest.mark.parametrize("change", [{"iss": "another"}, {"aud": "parley"}, {"call": 7}, {"exp": 1e300}, {"sub": None}])
def test_a_token_with_other_claims_is_not_ours(change: dict[str, object]) -> None:
    with pytest.raises(JoinTokenInvalid):
        TOKENS.read(sign("signaling", PAYLOAD | change, KIND))


@pytest.mark.parametrize("missing", PAYLOAD)
def test_a_token_without_one_of_the_claims_is_not_ours(missing: str) -> None:
    payload = {name: value for name, value in PAYLOAD.items() if name != missing}
    with pytest.raises(JoinTokenInvalid):
        TOKENS.read(sign("signaling", payload, KIND))


def test_another_key_or_algorithm_is_not_taken() -> None:
    for token in (
        sign("gateway", PAYLOAD, KIND),
        sign("signaling", PAYLOAD, "parley-service+jwt"),
        jwt.encode(PAYLOAD, b"x" * 32, "HS256"),
        jwt.encode(PAYLOAD, "", "none"),
    ):
        with pytest.raises(JoinTokenInvalid):
            TOKENS.read(token)


@given(st.text())
def test_any_text_is_refused_and_never_crashes(text: str) -> None:
    with pytest.raises(JoinTokenInvalid):
        TOKENS.read(text)
