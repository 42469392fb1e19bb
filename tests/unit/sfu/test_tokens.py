from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from deploy import identities
from services.runtime.clock import CLOCK_SKEW_S
from services.runtime.identity.callers import IDENTITIES
from services.sfu.core.errors import JoinTokenExpired, JoinTokenInvalid
from services.sfu.core.ids import WorkerId
from services.sfu.tokens import JwtJoinTokens
from tests.support.clock import ManualClock
from tests.support.identities import FOLDER, keys_of, sign
from tests.unit.sfu.builders import key

KIND = "parley-join+jwt"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(clock: ManualClock) -> JwtJoinTokens:
    return JwtJoinTokens(keys_of("sfu"), WorkerId("w1"), clock)


def make(clock: ManualClock, signer: str = "signaling", folder: Path = FOLDER, kind: str = KIND, **changes: Any) -> str:
    claims: dict[str, object] = {
        "iss": "parley-signaling",
        "aud": "parley-sfu",
        "sub": "ann",
        "call": "call-1",
        "device": "d1",
        "worker": "w1",
        "jti": "1",
        "iat": int(clock.now().timestamp()),
        "exp": int((clock.now() + timedelta(seconds=30)).timestamp()),
    }
    claims |= changes
    return sign(signer, {k: v for k, v in claims.items() if v is not None}, kind, folder)


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
        {"aud": ["parley-sfu", "parley-internal"]},
        {"iat": None},
        {"iat": 0},
        {"exp": 10**400},
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


def test_forged_tokens_are_invalid(tokens: JwtJoinTokens, clock: ManualClock, tmp_path: Path) -> None:
    identities.write(tmp_path, identities.key_sets())
    unsigned = jwt.encode({"sub": "ann"}, None, algorithm="none")  # type: ignore[arg-type]
    others = [make(clock, signer) for signer in IDENTITIES if signer != "signaling"]
    foreign, other_kind = make(clock, folder=tmp_path), make(clock, kind="parley-service+jwt")
    for token in ("", "x", "a.b.c", "x" * 10_000, unsigned, foreign, other_kind, *others):
        with pytest.raises(JoinTokenInvalid):
            tokens.verify(token)


def test_forged_and_expired_is_invalid_and_says_nothing_of_its_age(
    tokens: JwtJoinTokens, clock: ManualClock, tmp_path: Path
) -> None:
    identities.write(tmp_path, identities.key_sets())
    with pytest.raises(JoinTokenInvalid):
        tokens.verify(make(clock, folder=tmp_path, iat=1, exp=2))


def test_a_worker_can_sign_nothing() -> None:
    with pytest.raises(LookupError):
        keys_of("sfu").sign({"sub": "ann"}, KIND)
