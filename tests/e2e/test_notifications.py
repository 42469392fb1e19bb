"""Notices of the system in headless Chromium, which reaches no push service.

A receiver stands for that: it subscribes in the browser's place and takes what `services/push` encrypts for the
subscription. What it decrypts is pushed into the browser by Chromium's own tools, to the page's service worker. Not to
be seen so: the browser's own subscription and decryption, what the system draws, a click on it, and a new window.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.certificates import Authority
from loadtests.webhooks import provider_part
from tests.e2e.scenarios import Facts, run_scenario
from tests.support.push_providers.web_push import PushService, Subscription, encode
from tests.support.stack import RunningStack
from tests.support.waiting import until

pytestmark = pytest.mark.chromium


@contextmanager
def serving(service: PushService) -> Iterator[Callable[[Any], Any]]:
    """It listens in a loop of its own, beside the scenario; gives what runs something there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    try:
        run(service.server.start())
        yield run
    finally:
        run(service.server.stop())
        run(_until_ended())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _until_ended() -> None:
    """What served the connections."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


class Pushes:
    """What has come for a subscription, in files for the scenario. `run` runs something where the service listens."""

    def __init__(self, service: PushService, subscription: Subscription, file: Path, run: Callable[[Any], Any]) -> None:
        self._service = service
        self._subscription = subscription
        self._file = file
        self._run = run
        self._passed_on = 0

    def pass_on(self, wanted: str) -> None:
        """Waits for one with these fields; it and those before it are in the file then."""
        fields = json.loads(wanted)

        def come() -> list[dict[str, Any]]:
            return self._service.of(self._subscription.endpoint)[self._passed_on :]

        def is_there() -> bool:
            return any(fields.items() <= one.items() for one in come())

        self._run(until(is_there, what=f"a push with {wanted}"))
        pushed = come()
        self._passed_on += len(pushed)
        self._file.write_text(json.dumps(pushed))


@pytest.fixture(scope="module")
def facts(stack: RunningStack, push_authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    """The facts of the scenario by name (notifications.mjs)."""
    service = PushService(push_authority.issue("push-service"))
    with serving(service) as run, provider_part(stack.record.push_providers_file, "web_push", service.config()):
        subscription = service.subscribe()
        given = {
            "endpoint": subscription.endpoint,
            "p256dh": encode(subscription.p256dh),
            "auth": encode(subscription.auth),
        }
        file = tmp_path_factory.mktemp("pushes") / "pushes.json"
        pushes = Pushes(service, subscription, file, run)
        yield run_scenario("notifications.mjs", stack.record.web_url, json.dumps(given), str(file), cue=pushes.pass_on)


def test_notifications_are_turned_on_in_the_settings(facts: Facts) -> None:
    assert facts["settings"] == {"on": True, "hint": "You are told of messages and calls while Parley is closed."}


def test_the_page_can_be_installed_as_an_app(facts: Facts) -> None:
    assert facts["manifest"] == {"name": "Parley", "display": "standalone", "errors": [], "icons": [200, 200, 200, 200]}


def test_a_closed_page_shows_who_wrote_what_once_a_conversation(facts: Facts) -> None:
    first, second = facts["shown"]
    for shown, text in ((first, "Are you awake?"), (second, "The boat leaves at nine.")):
        (notice,) = shown
        assert (notice["title"], notice["body"]) == (facts["anna"], text)
        assert notice["tag"] == f"conversation:{notice['data']['conversationId']}"
        assert notice["icon"] == 200
    assert first[0]["tag"] == second[0]["tag"]


def test_what_was_read_on_another_device_is_taken_back(facts: Facts) -> None:
    assert facts["after_reading_elsewhere"] == []


def test_without_previews_a_notice_says_nothing_of_who_and_what(facts: Facts) -> None:
    (notice,) = facts["without_previews"]
    assert (notice["title"], notice["body"]) == ("Parley", "New message")
    assert facts["private_words_in_push"] == []


def test_a_notice_leads_into_its_conversation_and_goes_when_it_was_read_there(facts: Facts) -> None:
    assert facts["after_click"] == {"open": facts["anna"], "left": 0}


def test_a_conversation_has_a_level_of_its_own(facts: Facts) -> None:
    assert facts["levels"] == ["As in the settings", "Mentions and replies", "As in the settings"]


def test_after_a_logout_nothing_is_left(facts: Facts) -> None:
    assert facts["after_logout"] == {"notices": 0, "caches": [], "choice": None}


def test_the_pages_report_no_errors_and_ask_no_other_host(facts: Facts) -> None:
    assert facts["faults"] == []
