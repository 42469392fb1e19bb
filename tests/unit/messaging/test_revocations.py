"""Which tokens are refused after a person signs devices out, once or many times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.accounts.core.revocations import (
    MAX_REVOKED_DEVICES,
    Revocations,
    forget_old,
    next_second,
    sign_out,
    sign_out_others,
)
from services.messaging.accounts.mapping import standing_of
from services.runtime.identity.accounts import Standing

START = datetime(2026, 1, 1, tzinfo=UTC)
DEVICES = ("phone-01", "tablet-1", "laptop-1")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def refuses(revocations: Revocations, issued_at: datetime, device_id: str) -> bool:
    return standing_of(revocations).is_revoked(issued_at.timestamp(), device_id)


@pytest.mark.parametrize("now_s", [0.0, 0.001, 0.999, 5.0])
def test_a_token_of_the_same_second_is_refused_since_it_may_be_older(now_s: float) -> None:
    revocations = sign_out_others(Revocations(), "", next_second(at(now_s)))
    assert refuses(revocations, at(int(now_s)), "")
    assert not refuses(revocations, at(int(now_s) + 1), "")


# Each step of a life: signing out some devices, or all but one, at one second after the other.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("some"), st.lists(st.sampled_from(DEVICES), min_size=1, max_size=2)),
        st.tuples(st.just("others"), st.sampled_from(["", *DEVICES])),
    ),
    max_size=6,
)


@given(STEPS)
def test_nothing_that_was_revoked_is_ever_good_again(steps: list[tuple[str, object]]) -> None:
    """Held against the plain meaning: from when on each device's tokens are good, by the last step about it."""
    revocations, expected = Revocations(), dict.fromkeys(("", *DEVICES), 0)
    for number, (kind, named) in enumerate(steps, start=1):
        if kind == "some":
            assert isinstance(named, list)
            revocations = sign_out(revocations, tuple(named), at(number))
            expected.update(dict.fromkeys(named, number))
        else:
            revocations = sign_out_others(revocations, str(named), at(number))
            expected.update({device: number for device in expected if not named or device != named})
        for device_id, valid_from in expected.items():
            assert not refuses(revocations, at(valid_from), device_id)
            assert refuses(revocations, at(valid_from - 1), device_id) is (valid_from > 0)


def test_beyond_a_number_of_devices_all_are_signed_out_and_nothing_is_forgotten() -> None:
    revocations = Revocations()
    for number in range(MAX_REVOKED_DEVICES + 1):
        revocations = sign_out(revocations, (f"device-{number:03}",), at(number + 1))
    assert len(revocations.devices) <= MAX_REVOKED_DEVICES
    assert refuses(revocations, at(0), "device-000")
    assert refuses(revocations, at(0), "never-named")


def test_what_every_token_has_outlived_is_forgotten() -> None:
    revocations = Revocations(at(10), "phone-01", {"phone-01": at(5), "tablet-1": at(20)})
    assert forget_old(revocations, at(8)) == Revocations(at(10), "phone-01", {"tablet-1": at(20)})
    assert forget_old(revocations, at(15)) == Revocations(devices={"tablet-1": at(20)})
    assert forget_old(revocations, at(21)) == Revocations()
    assert standing_of(Revocations()) == Standing()
