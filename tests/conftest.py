"""Fixtures for all tests. The stack and its parts are started once a session, and only when a test asks for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
import structlog
from hypothesis import settings

from deploy.certificates import Authority
from services.runtime.config import KafkaConfig
from services.runtime.kafka.producer import KafkaPublisher
from tests.support.canary import CANARIES
from tests.support.coturn import Coturn, run_coturn
from tests.support.db import own_database
from tests.support.figures import FIGURE
from tests.support.leftovers import NOBODY, Ledger, own
from tests.support.needs import MARKERS, PROGRAMS, markers_of, require
from tests.support.otlp import KEPT_RATIO, Collector, running_collector
from tests.support.stack import LOGS, RunningStack, run_stack

# How long an example takes says how busy the machine is.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

# When the session began (Unix seconds), and what no log should have held.
BEGAN = pytest.StashKey[float]()
LEAKS = pytest.StashKey[list[str]]()
SHOWN_LEAKS = 50


def pytest_configure(config: pytest.Config) -> None:
    """Registers the markers: a name that is not among them is an error."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    # Where the library rich happens to be installed, structlog draws every value of a failed handler, however large: a
    # record of megabytes took ten seconds.
    *processors, _ = structlog.get_config()["processors"]
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors, renderer])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by their folder and their fixtures, before `-m` chooses."""
    for item in items:
        for marker in markers_of(item.path, getattr(item, "fixturenames", ())):
            item.add_marker(marker)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leaves out the test whose program is not here."""
    require([marker.name for marker in item.iter_markers()])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures, whichever process the tests ran in."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == FIGURE:
                terminalreporter.write_line(str(value))
    if len(CANARIES):
        terminalreporter.write_line(
            f"{len(CANARIES)} things that tests sent were looked for in the logs of this session."
        )
    for leak in terminalreporter.config.stash.get(LEAKS, [])[:SHOWN_LEAKS]:
        terminalreporter.write_line(f"LEAK {leak}", red=True)


def pytest_sessionstart(session: pytest.Session) -> None:
    """From here on, what is written is of this session."""
    session.config.stash[BEGAN] = time.time()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the session when a log of its stacks holds a text, a token, an SDP or a password: support/canary.py."""
    found = CANARIES.find_in_files(LOGS, session.config.stash[BEGAN]) if LOGS.is_dir() else []
    session.config.stash[LEAKS] = found
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fails the integration test whose own process printed or logged what no log may hold."""
    report = yield
    if "unit" not in item.path.parts:
        found = [each for name, text in report.sections for each in CANARIES.find_in(text, name)]
        if found and report.passed:
            report.outcome, report.longrepr = "failed", "\n".join(f"LEAK {each}" for each in found[:SHOWN_LEAKS])
    return report


@pytest.fixture(scope="session", autouse=True)
async def ledger() -> AsyncIterator[Ledger]:
    """Who made which task, gRPC channel and server. Nothing may be left when the last fixture has ended."""
    ledger = Ledger()
    asyncio.get_running_loop().set_task_factory(ledger.make_task)
    with ledger.recording_grpc(), CANARIES.watching_grpc():
        yield ledger
        left = await ledger.settle(NOBODY)
    if left:
        pytest.fail("fixtures left behind:\n" + "\n".join(left), pytrace=False)


@pytest.fixture(autouse=True)
async def leaves_nothing_behind(ledger: Ledger, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fails the test that leaves a task or an open gRPC channel in the loop that all tests share."""
    own(request.node.nodeid)
    yield
    left = await ledger.settle(request.node.nodeid)
    if left:
        pytest.fail("the test left behind:\n" + "\n".join(left), pytrace=False)


@pytest.fixture(scope="session")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn | None]:
    """The stack's TURN relay; None where coturn is not installed."""
    if PROGRAMS["coturn"].find() is None:
        yield None
        return
    with run_coturn(tmp_path_factory.mktemp("coturn")) as running:
        yield running


@pytest.fixture(scope="session")
def turn(relay: Coturn | None) -> Coturn:
    """The same for tests that need it, which are left out where there is none (marker `coturn`)."""
    assert relay is not None
    return relay


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector | None]:
    """Who takes the stack's spans."""
    with running_collector() as running:
        yield running


@pytest.fixture(scope="session")
def push_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the certificates of providers of notices, as the stack has been told."""
    return Authority(tmp_path_factory.mktemp("push-authority"))


@pytest.fixture(scope="session")
def stack(relay: Coturn | None, collector: Collector | None, push_authority: Authority) -> Iterator[RunningStack]:
    """The whole embedded stack, shared by all tests: use users and conversations of your own.

    It has two media workers, so that calls can move, and gives its clients a TURN relay where there is one. Of its
    traces it keeps those that a test has asked for (support/otlp.py).
    """
    env = {
        # Whoever leaves is offline soon, so that tests need not wait for it.
        "PARLEY_OFFLINE_DELAY_S": "2",
        "PARLEY_ACCOUNT_CHECK_S": "1",
        "PARLEY_SFU_DRAIN_S": "60",
        "PARLEY_PUSH_CA_FILE": str(push_authority.ca),
        "PARLEY_STICKER_HOSTS": "stickers.example",
    }
    if collector is not None:
        env |= {
            "PARLEY_OTLP_ENDPOINT": collector.address,
            "PARLEY_OTLP_INTERVAL_MS": "200",
            "PARLEY_TRACE_RATIO": str(KEPT_RATIO),
        }
    if relay is not None:
        env |= {"PARLEY_TURN_URLS": ",".join(relay.urls.values()), "PARLEY_TURN_SECRET": relay.secret}
    with run_stack("stack", replicas={"sfu": 2}, env=env) as running:
        yield running


@pytest.fixture(scope="session")
def backing() -> Iterator[RunningStack]:
    """PostgreSQL and the broker alone, for tests of single services."""
    with run_stack("backing", parts=("postgres", "broker")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres(backing: RunningStack) -> str:
    """The address of a PostgreSQL server, by one of its databases."""
    return backing.record.database_urls["parley_messaging"]


@pytest.fixture(scope="session")
def broker(backing: RunningStack) -> str:
    """The bootstrap address of a Kafka broker that has all topics."""
    return backing.record.kafka_bootstrap


@pytest.fixture
def kafka(broker: str) -> KafkaConfig:
    """How a service is told of that broker."""
    return KafkaConfig(bootstrap=broker, idempotent=False, session_timeout_ms=3000, fetch_wait_ms=10)


@pytest.fixture
async def publisher(kafka: KafkaConfig) -> AsyncIterator[KafkaPublisher]:
    """A producer that has reached the broker."""
    publisher = KafkaPublisher(kafka)
    await publisher.start()
    await publisher.wait_connected()
    yield publisher
    await publisher.stop()


@pytest.fixture
async def database_url(postgres: str) -> AsyncIterator[str]:
    """An empty database of this test's own; it is dropped afterwards."""
    async with own_database(postgres) as url:
        yield url


@pytest.fixture
async def other_database_url(postgres: str) -> AsyncIterator[str]:
    """One more, for a second service."""
    async with own_database(postgres) as url:
        yield url
