"""Calls encrypted end to end, seen in two contexts of headless Chromium: three simulcast layers through the SFU."""

from __future__ import annotations

import pytest

from tests.e2e.scenarios import Facts, run_scenario
from tests.support.stack import LOGS

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (encryption.mjs)."""
    return run_scenario("encryption.mjs", web_url)


def test_with_the_same_passphrase_the_top_layer_is_decoded_and_heard(facts: Facts) -> None:
    for side in facts["same"]:
        assert side["layers"] == ["f", "h", "q"]
        assert side["frameWidth"] >= 1280
        assert side["framesDecoded"] >= 10
        assert side["audioEnergy"] > 0


def test_each_page_shows_that_the_call_is_encrypted_and_says_when_it_cannot_decrypt_what_comes(facts: Facts) -> None:
    assert facts["signs"] == [1, 1]
    assert all("same passphrase" in note for note in facts["notes"])


def test_with_another_passphrase_packets_come_and_nothing_is_decoded(facts: Facts) -> None:
    for side in facts["different"]:
        assert side["audioPackets"] >= 50
        assert side["videoPackets"] >= 50
        assert side["framesDecoded"] == 0
        assert side["audioEnergy"] == 0


def test_with_the_same_passphrase_once_more_it_is_seen_and_heard_again(facts: Facts) -> None:
    assert all(side["framesDecoded"] >= 10 and side["audioEnergy"] > 0 for side in facts["again"])


def test_no_request_of_the_pages_holds_the_passphrase_or_the_key(facts: Facts) -> None:
    assert facts["requests"] > 20
    assert facts["requests_with_a_secret"] == 0


def test_no_log_of_any_service_holds_the_passphrase_or_the_key(facts: Facts) -> None:
    logs = [path.read_text(errors="replace") for path in (LOGS / "stack").rglob("*.log")]
    assert any("participant_joined" in text for text in logs)
    assert not any(secret in text for text in logs for secret in (facts["passphrase"], facts["call_key"]))


def test_the_pages_report_no_errors(facts: Facts) -> None:
    assert facts["faults"] == []
