"""The metrics port serves the registry, in both forms, and to several at once."""

import socket
from urllib.request import Request, urlopen

import pytest
from prometheus_client import CollectorRegistry, Counter

from services.runtime.observability import metrics_server


@pytest.fixture
def url() -> str:
    registry = CollectorRegistry()
    Counter("messages", "Messages.", registry=registry).inc(3)
    return f"http://127.0.0.1:{metrics_server.serve('127.0.0.1:0', registry)}/metrics"


def test_the_registry_is_served(url: str) -> None:
    with urlopen(url) as answer:
        assert "messages_total 3.0" in answer.read().decode()


def test_openmetrics_is_served_on_request(url: str) -> None:
    with urlopen(Request(url, headers={"Accept": "application/openmetrics-text; version=1.0.0"})) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert answer.read().decode().endswith("# EOF\n")


def test_one_that_sends_nothing_holds_up_nobody(url: str) -> None:
    port = int(url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)), urlopen(url) as answer:
        assert answer.status == 200


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        metrics_server.serve(f"127.0.0.1:{taken.getsockname()[1]}", CollectorRegistry())
