"""Browsers that may use nothing but a TURN relay: a real coturn, over UDP, TCP and TLS."""

from __future__ import annotations

import pytest

from tests.e2e.scenarios import Facts, run_scenario
from tests.support.coturn import Coturn
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.chromium, pytest.mark.coturn]


@pytest.fixture(scope="module")
def facts(stack: RunningStack, turn: Coturn) -> Facts:
    """The facts of the scenario by name (relay.mjs)."""

    def restart(_: str) -> None:
        turn.stop()
        turn.start()

    return run_scenario("relay.mjs", stack.record.web_url, cue=restart)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_forced_relay_brings_pictures_and_sound_by_a_path_of_type_relay(facts: Facts, transport: str) -> None:
    assert facts[transport] == [{"type": "relay", "protocol": transport}] * 2


def test_a_call_whose_way_to_the_network_is_gone_goes_on_by_another(facts: Facts) -> None:
    assert facts["went_on"]


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []
