"""Calls encrypted end to end, seen in contexts of headless Chromium: three simulcast layers through the SFU."""

from __future__ import annotations

import base64

import pytest

from tests.e2e.scenarios import Facts, run_scenario
from tests.support.database_search import tables_holding
from tests.support.headers import topics_holding
from tests.support.memory import processes_holding
from tests.support.stack import LOGS, RunningStack

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (encryption.mjs)."""
    return run_scenario("encryption.mjs", web_url)


def test_a_call_is_encrypted_by_default_and_the_top_layer_is_decoded_and_heard(facts: Facts) -> None:
    assert facts["signs"] == [1, 1]
    for side in facts["both"]:
        assert side["layers"] == ["f", "h", "q"]
        assert side["frameWidth"] >= 1280
        assert side["framesDecoded"] >= 10
        assert side["audioEnergy"] > 0


def test_both_see_the_same_safety_number(facts: Facts) -> None:
    one, other = facts["numbers"]
    assert one == other
    assert len(one) == 60


def test_who_cannot_decrypt_is_named_and_gets_nothing_until_that_is_allowed(facts: Facts) -> None:
    assert "cannot take part in encrypted calls" in facts["note"]
    assert facts["before"]["framesDecoded"] == 0
    assert facts["before"]["audioEnergy"] == 0
    assert facts["after"]["framesDecoded"] >= 10
    assert "is not encrypted end to end" in facts["cleared"]


def test_who_has_lost_all_browsers_starts_anew_in_the_call_and_is_encrypted_in_it(facts: Facts) -> None:
    assert "None of your other devices has confirmed this browser" in facts["told"]
    for side in facts["anew"]:
        assert side["framesDecoded"] >= 10
        assert side["audioEnergy"] > 0


def test_no_request_of_the_pages_holds_a_key(facts: Facts) -> None:
    assert facts["requests"] > 20
    # One of each side, at least.
    assert len(facts["keys"]) >= 2
    assert facts["requests_with_a_secret"] == 0


def test_no_log_of_any_service_holds_a_key(facts: Facts) -> None:
    logs = [path.read_text(errors="replace") for path in (LOGS / "stack").rglob("*.log")]
    assert any("participant_joined" in text for text in logs)
    forms = [form for key in facts["keys"] for form in (key, base64.b64encode(bytes.fromhex(key)).decode())]
    assert not any(form in text for text in logs for form in forms)


async def test_no_topic_and_no_table_holds_a_key(facts: Facts, request: pytest.FixtureRequest) -> None:
    record = request.getfixturevalue("stack").record
    raw = [bytes.fromhex(key) for key in facts["keys"]]
    words = [form for key in raw for form in (key.hex(), base64.b64encode(key).decode())]
    records, topics = await topics_holding(record.kafka_bootstrap, [*raw, *(word.encode() for word in words)])
    assert records > 20
    assert topics == set()
    for url in record.database_urls.values():
        _, tables = await tables_holding(url, words)
        assert tables == set()


def test_no_service_holds_a_key_in_its_memory(facts: Facts, stack: RunningStack) -> None:
    # Each is looked for in a gigabyte: so not all of them.
    one, *others = [bytes.fromhex(key) for key in facts["keys"][:3]]
    forms = [one, one.hex().encode(), base64.b64encode(one), *others]
    count, holding = processes_holding(stack.record.pids, forms)
    assert count > 100 * 2**20
    assert holding == set()
    # It would be seen: a statement of signaling about these keys.
    assert processes_holding(stack.record.pids, [b"INSERT INTO sealed_call_keys"])[1] >= {"signaling"}


def test_the_pages_report_no_errors(facts: Facts) -> None:
    assert facts["faults"] == []
