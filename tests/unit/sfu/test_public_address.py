"""Finding the public address, against STUN servers on the loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aioice import stun

from services.runtime.env import ConfigError
from services.sfu.config import Config
from services.sfu.public_address import ask, main
from tests.support.waiting import PATIENCE_S

ENV = {
    "PARLEY_SERVICE_PUBLIC_KEYS_FILE": "/keys/public.json",
    "PARLEY_KAFKA_BOOTSTRAP": "kafka:9092",
    "PARLEY_SFU_WORKER_ID": "sfu-0",
    "PARLEY_SFU_GRPC_ADVERTISED": "10.0.0.1:7000",
}


def seen_as(ip: str) -> Callable[[stun.Message], bytes]:
    def answer(request: stun.Message) -> bytes:
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = (ip, 40_000)
        return bytes(response)

    return answer


@contextmanager
def server(*answers: Callable[[stun.Message], bytes | None]) -> Iterator[int]:
    """Answers one request after the other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE_S)

        def serve() -> None:
            for answer in answers:
                datagram, source = sock.recvfrom(2048)
                response = answer(stun.parse_message(datagram))
                if response is not None:
                    sock.sendto(response, source)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            thread.join()


def test_the_address_is_what_the_server_sees() -> None:
    with server(seen_as("203.0.113.7")) as port:
        assert ask("127.0.0.1", port) == "203.0.113.7"


def test_a_lost_request_and_strange_answers_are_passed_over() -> None:
    other = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    with server(
        lambda _: None, lambda _: b"garbage", lambda _: seen_as("192.0.2.1")(other), seen_as("203.0.113.7")
    ) as port:
        assert ask("127.0.0.1", port) == "203.0.113.7"


def test_a_server_that_does_not_answer_is_an_error() -> None:
    with server() as port, pytest.raises(TimeoutError):
        ask("127.0.0.1", port, deadline_s=0.1)


def test_a_name_that_nobody_knows_yet_is_looked_up_again() -> None:
    """The policy that lets the pod ask for names comes after the pod."""
    asked: list[str] = []

    def look_up(host: str, port: int, **how: Any) -> Any:
        asked.append(host)
        if len(asked) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "no name server is reached")
        return socket.getaddrinfo("127.0.0.1", port, **how)

    with server(seen_as("203.0.113.7")) as port:
        assert ask("stun.example.com", port, look_up=look_up) == "203.0.113.7"
    assert asked == ["stun.example.com"] * 2


def test_one_that_is_refused_is_told_so_at_the_end() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        ask("127.0.0.1", port, deadline_s=0.1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x01",
        b"\xff" * 2048,
        b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
        bytes.fromhex("0101ffff2112a442") + bytes(12),
        # An attribute that says that it is longer than the datagram, and a mapped address that is cut off.
        bytes.fromhex("010100082112a442") + bytes(12) + bytes.fromhex("0020ffff00010000"),
        bytes.fromhex("010100082112a442") + bytes(12) + bytes.fromhex("0020000400010000"),
        bytes.fromhex("010100082112a442") + bytes(12) + bytes.fromhex("0020000400ff0000"),
    ],
)
def test_garbage_of_every_kind_is_passed_over(answer: bytes) -> None:
    def garbage(request: stun.Message) -> bytes:
        return answer[:8] + request.transaction_id + answer[20:] if len(answer) > 20 else answer

    with server(garbage, seen_as("203.0.113.7")) as port:
        assert ask("127.0.0.1", port) == "203.0.113.7"


def test_the_address_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with server(seen_as("203.0.113.7")) as port:
        assert main([f"127.0.0.1:{port}"]) == 0
    assert capsys.readouterr().out == "203.0.113.7\n"
    assert main(["nothing"]) == 2


def test_the_worker_announces_the_address_in_the_file(tmp_path: Path) -> None:
    found = tmp_path / "address"
    found.write_text("203.0.113.7\n")
    assert Config.from_env({**ENV, "PARLEY_SFU_PUBLIC_IP_FILE": str(found)}).media.public_ip == "203.0.113.7"


@pytest.mark.parametrize("content", [None, "", "not an address"])
def test_a_file_without_an_address_is_a_fault_in_the_configuration(tmp_path: Path, content: str | None) -> None:
    found = tmp_path / "address"
    if content is not None:
        found.write_text(content)
    with pytest.raises(ConfigError):
        Config.from_env({**ENV, "PARLEY_SFU_PUBLIC_IP_FILE": str(found)})
