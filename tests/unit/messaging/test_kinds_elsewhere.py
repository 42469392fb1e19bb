"""What others must know of the kinds of content: what people said counts, and what is gone is gone, for all of them."""

from parley_client import entries as python_client
from services.messaging.kernel.content import CALL, KINDS
from services.push import mapping as push
from services.webhooks import mapping as webhooks
from tests.faults.checker.promises import cursors, messages, notices, vanishing

SAID = {kind.name for kind in KINDS.values() if kind.is_said}
GONE = {kind.name for kind in KINDS.values() if kind.is_gone}


def test_a_sleeping_device_is_told_of_whatever_somebody_says() -> None:
    assert set(push.SAID) == set(notices.SAID) == SAID - {CALL.name}


def test_clients_count_whatever_was_said() -> None:
    assert set(python_client.COUNTED) == set(cursors.COUNTED) == set(vanishing.SAID) == SAID


def test_all_know_what_is_left_of_what_is_gone() -> None:
    assert set(push.GONE) == set(webhooks.GONE) == set(messages.GONE) == GONE
