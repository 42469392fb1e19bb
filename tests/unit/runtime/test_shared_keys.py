"""A shared key is replaced in three steps, and at each of them every process believes every other."""

import base64
from datetime import timedelta
from itertools import pairwise, product

import pytest

from services.gateway.core.resume import NotResumable, Outcome, ResumeTokens
from services.runtime.auth import ServiceTokens
from services.runtime.config import ConfigError, EnvReader
from services.runtime.errors import Unauthenticated
from services.sfu.core.errors import JoinTokenInvalid as JoinTokenRefused
from services.sfu.core.ids import WorkerId
from services.sfu.tokens import JwtJoinTokens as JoinTokensOfWorkers
from services.signaling.core.grants import Claims
from services.signaling.core.model import CallId, DeviceId, UserId
from services.signaling.core.model import WorkerId as CallsWorkerId
from services.signaling.tokens import JwtJoinTokens
from tests.support.clock import ManualClock

OLD, NEW = b"o" * 32, b"n" * 32
# What the processes hold, step by step. A rollout mixes two neighbours.
STEPS = [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
MIXES = [mix for pair in pairwise(STEPS) for mix in product(pair, pair)]


@pytest.mark.parametrize(("ours", "theirs"), MIXES)
def test_service_tokens_pass_at_each_step(ours: tuple[bytes, ...], theirs: tuple[bytes, ...]) -> None:
    clock = ManualClock()
    assert ServiceTokens(theirs, "sfu", clock).verify(ServiceTokens(ours, "signaling", clock).token()) == "signaling"


@pytest.mark.parametrize(("ours", "theirs"), MIXES)
def test_join_tokens_pass_at_each_step(ours: tuple[bytes, ...], theirs: tuple[bytes, ...]) -> None:
    clock = ManualClock()
    claims = Claims(
        CallId("c"), UserId("u"), DeviceId("d"), CallsWorkerId("w"), clock.now() + timedelta(seconds=30), "t"
    )
    token = JwtJoinTokens(ours).sign(claims)
    assert JwtJoinTokens(theirs).read(token) == claims
    assert JoinTokensOfWorkers(theirs, WorkerId("w"), clock).verify(token).user_id == "u"


@pytest.mark.parametrize(("ours", "theirs"), MIXES)
def test_resume_tokens_are_known_at_each_step(ours: tuple[bytes, ...], theirs: tuple[bytes, ...]) -> None:
    token = ResumeTokens(theirs, b"gateway1").issue(17, "alice", "phone-01")
    assert ResumeTokens(ours, b"gateway1").read(token, "alice", "phone-01") == 17
    # A gateway that was started anew has no such session: it says so, and does not speak of forgery.
    with pytest.raises(NotResumable) as refusal:
        ResumeTokens(ours, b"gateway2").read(token, "alice", "phone-01")
    assert refusal.value.outcome is Outcome.ELSEWHERE


def test_a_key_that_was_taken_away_is_believed_by_nobody() -> None:
    clock = ManualClock()
    with pytest.raises(Unauthenticated):
        ServiceTokens(NEW, "sfu", clock).verify(ServiceTokens((OLD, NEW), "signaling", clock).token())
    with pytest.raises(JoinTokenRefused):
        JoinTokensOfWorkers(NEW, WorkerId("w"), clock).verify("e30.e30.e30")
    with pytest.raises(NotResumable) as refusal:
        ResumeTokens((NEW,), b"gateway1").read(ResumeTokens((OLD, NEW), b"gateway1").issue(1, "u", "d"), "u", "d")
    assert refusal.value.outcome is Outcome.FORGED


def test_keys_are_read_in_their_order_and_each_is_checked() -> None:
    old, new, short = (base64.b64encode(key).decode() for key in (OLD, NEW, b"short"))
    assert EnvReader({"K": f"{new}, {old}"}).keys("K") == (NEW, OLD)
    for faulty in (f"{new},{short}", f"{new},", ",", "", "?", f"?,{new}"):
        reader = EnvReader({"K": faulty})
        reader.keys("K")
        with pytest.raises(ConfigError):
            reader.finish()
