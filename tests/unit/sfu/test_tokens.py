from datetime import timedelta
from typing import Any

import jwt
import pytest

from services.runtime.clock import CLOCK_SKEW_S
from services.sfu.core.errors import JoinTokenExpired, JoinTokenInvalid
from services.sfu.core.ids import WorkerId
from services.sfu.tokens import JwtJoinTokens
from tests.support.clock import ManualClock
from tests.unit.sfu.builders import key

KEY = b"k" * 32


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(clock: ManualClock) -> JwtJoinTokens:
    return JwtJoinTokens(KEY, WorkerId("w1"), clock)


def make(clock: ManualClock, signing_key: bytes = KEY, algorithm: str = "HS256", **changes: Any) -> str:
    claims: dict[str, object] = {
        "iss": "parley-signaling",
        "aud": "parley-sfu",
        "sub": "ann",
        "call": "call-1",
        "device": "d1",
        "worker": "w1",
        "jti": "1",
        "exp": int((clock.now() + timedelta(seconds=30)).timestamp()),
    }
    claims |= changes
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, signing_key, algorithm=algorithm)


def test_good_token_names_its_participant(tokens: JwtJoinTokens, clock: ManualClock) -> None:
    assert tokens.verify(make(clock)) == key("ann")


def test_token_expires_by_the_workers_clock(tokens: JwtJoinTokens, clock: ManualClock) -> None:
    token = make(clock)
    clock.advance(30 + CLOCK_SKEW_S - 1)
    assert tokens.verify(token) == key("ann")
    clock.advance(1)
    with pytest.raises(JoinTokenExpired):
        tokens.verify(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"worker": "w2"},
        {"iss": "someone"},
        {"aud": "parley-internal"},
        {"sub": None},
        {"sub": ""},
        {"call": None},
        {"call": 7},
        {"device": ["d1"]},
        {"device": "d" * 300},
        {"jti": None},
        {"exp": None},
        {"exp": "soon"},
    ],
)
def test_token_that_is_not_for_here_is_invalid(
    tokens: JwtJoinTokens, clock: ManualClock, changes: dict[str, Any]
) -> None:
    with pytest.raises(JoinTokenInvalid):
        tokens.verify(make(clock, **changes))


def test_forged_tokens_are_invalid(tokens: JwtJoinTokens, clock: ManualClock) -> None:
    unsigned = jwt.encode({"sub": "ann"}, None, algorithm="none")  # type: ignore[arg-type]
    for token in ("", "x", "a.b.c", "x" * 10_000, unsigned, make(clock, b"z" * 32), make(clock, b"k" * 64, "HS512")):
        with pytest.raises(JoinTokenInvalid):
            tokens.verify(token)


def test_forged_and_expired_is_invalid_and_says_nothing_of_its_age(tokens: JwtJoinTokens, clock: ManualClock) -> None:
    with pytest.raises(JoinTokenInvalid):
        tokens.verify(make(clock, b"z" * 32, exp=1))
