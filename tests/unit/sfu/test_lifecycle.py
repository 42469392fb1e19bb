import pytest

from services.sfu.core.session.effects import LeaveReason
from services.sfu.core.session.lifecycle import (
    CONSENT_TIMEOUT_S,
    SETUP_TIMEOUT_S,
    SILENCE_S,
    TAKING_PART,
    Action,
    Input,
    State,
    step,
    timeout_of,
)


def test_the_straight_way() -> None:
    assert step(State.WAITING, Input.TRANSPORT_UP) == ((Action.TAKE_SLOTS,), State.CONNECTED)
    assert step(State.CONNECTED, Input.MEDIA) == ((Action.ANNOUNCE,), State.FLOWING)
    assert step(State.FLOWING, Input.TRANSPORT_CLOSED) == ((LeaveReason.CLOSED,), State.GONE)


@pytest.mark.parametrize("happened", list(Input))
def test_who_is_gone_stays_gone_without_a_word(happened: Input) -> None:
    assert step(State.GONE, happened) == ((), State.GONE)


@pytest.mark.parametrize("state", [State.WAITING, *sorted(TAKING_PART, key=lambda state: state.name)])
@pytest.mark.parametrize("happened", [Input.REMOVED, Input.REPLACED, Input.TRANSPORT_CLOSED, Input.WORKER_STOPPED])
def test_every_living_state_can_end(state: State, happened: Input) -> None:
    actions, after = step(state, happened)
    assert after is State.GONE
    assert len(actions) == 1


def test_handshake_that_fails_counts_as_never_connected() -> None:
    assert step(State.WAITING, Input.TRANSPORT_CLOSED) == ((LeaveReason.NEVER_CONNECTED,), State.GONE)


def test_timeouts_run_from_join_and_from_the_last_sign_of_life() -> None:
    assert timeout_of(State.WAITING, 1.0, 1.0, SETUP_TIMEOUT_S + 0.9) is None
    assert timeout_of(State.WAITING, 1.0, 9.0, SETUP_TIMEOUT_S + 1.0) is Input.SETUP_TIMEOUT
    assert timeout_of(State.SILENT, 1.0, 20.0, CONSENT_TIMEOUT_S + 19.9) is None
    for state in TAKING_PART:
        assert timeout_of(state, 1.0, 20.0, CONSENT_TIMEOUT_S + 20.0) is Input.CONSENT_TIMEOUT


def test_silence_is_told_once_and_so_is_its_end() -> None:
    assert timeout_of(State.FLOWING, 1.0, 20.0, SILENCE_S + 19.9) is None
    assert timeout_of(State.FLOWING, 1.0, 20.0, SILENCE_S + 20.0) is Input.SILENCE
    assert step(State.FLOWING, Input.SILENCE) == ((Action.ANNOUNCE_SILENCE,), State.SILENT)
    assert timeout_of(State.SILENT, 1.0, 20.0, SILENCE_S + 20.0) is None
    for heard in (Input.MEDIA, Input.CONSENT):
        assert step(State.SILENT, heard) == ((Action.ANNOUNCE,), State.FLOWING)
    # Who has sent no media yet is not silent, and a consent check is none.
    assert timeout_of(State.CONNECTED, 1.0, 20.0, SILENCE_S + 20.0) is None
    assert step(State.CONNECTED, Input.CONSENT) == ((), State.CONNECTED)
