"""A shared key is replaced in three steps, and at each of them every process believes every other."""

import base64
from itertools import pairwise, product

import pytest

from services.gateway.core.resume import NotResumable, Outcome, ResumeTokens
from services.runtime.env import ConfigError, EnvReader

OLD, NEW = b"o" * 32, b"n" * 32
# What the processes hold, step by step. A rollout mixes two neighbours.
STEPS = [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
MIXES = [mix for pair in pairwise(STEPS) for mix in product(pair, pair)]


@pytest.mark.parametrize(("ours", "theirs"), MIXES)
def test_resume_tokens_are_known_at_each_step(ours: tuple[bytes, ...], theirs: tuple[bytes, ...]) -> None:
    token = ResumeTokens(theirs, b"gateway1").issue(17, "alice", "phone-01")
    assert ResumeTokens(ours, b"gateway1").read(token, "alice", "phone-01") == 17
    # A gateway that was started anew has no such session: it says so, and does not speak of forgery.
    with pytest.raises(NotResumable) as refusal:
        ResumeTokens(ours, b"gateway2").read(token, "alice", "phone-01")
    assert refusal.value.outcome is Outcome.ELSEWHERE


def test_a_key_that_was_taken_away_is_believed_by_nobody() -> None:
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
