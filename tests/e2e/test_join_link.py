"""A join link in headless Chromium: copied, opened by people outside of the group, who are let in or refused."""

from __future__ import annotations

import pytest

from tests.e2e.scenarios import Facts, run_scenario

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def facts(web_url: str) -> Facts:
    """The facts of the scenario by name (join-link.mjs)."""
    return run_scenario("join-link.mjs", web_url)


def test_a_copied_link_has_its_secret_where_no_server_sees_it(facts: Facts) -> None:
    assert facts["secret_in_the_fragment"]


def test_who_waits_learns_the_hosts_name_and_no_other_and_has_no_media(facts: Facts) -> None:
    assert facts["lobby_line"]
    assert not facts["others_named"]
    assert facts["media_in_lobby"] == 0


def test_a_guest_who_is_let_in_sees_and_hears_the_others_and_is_marked(facts: Facts) -> None:
    for side in facts["seen"]:
        assert len(side["frames"]) >= 2
        assert len(side["voices"]) >= 2
    assert facts["marked_as_guest"]
    assert facts["conversations_of_the_guest"] == 0
    assert facts["address_after"] == "/"


def test_who_is_refused_is_told_so(facts: Facts) -> None:
    assert facts["refused"]


def test_the_call_ends_for_a_guest_when_the_members_have_left(facts: Facts) -> None:
    assert facts["ended_for_the_guest"]


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []
