"""What the checker does to links, in the kernel's own network: in a process that has a network of its own."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from deploy.embedded.record import ROOT
from tests.faults.checker import links, networks
from tests.faults.checker.links import Ports
from tests.support.needs import LEFT_OUT, leave_out

pytestmark = pytest.mark.nftables

# What is dropped never comes, so that waiting for longer finds no more.
NEVER_S = 0.3
PATIENCE_S = 60.0


class Pair:
    """A server of this process, and a connection to it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.client = socket.create_connection(self.listener.getsockname())
        self.server, _ = self.listener.accept()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def passes(self, *, back: bool = False) -> bool:
        """Whether a byte arrives now, towards the server or back."""
        sender, receiver = (self.server, self.client) if back else (self.client, self.server)
        receiver.settimeout(NEVER_S)
        sender.send(b"x")
        try:
            return bool(receiver.recv(1))
        except TimeoutError:
            return False

    def heals(self, *, back: bool = False) -> bool:
        """Whether what was sent before arrives in the end."""
        receiver = self.client if back else self.server
        receiver.settimeout(PATIENCE_S)
        return bool(receiver.recv(1))


def a_link_is_cut_and_heals(network: networks.Network) -> None:
    pair = Pair()
    network.tell(links.cut(Ports(tcp=(pair.port,))))
    assert not pair.passes()
    network.let_pass()
    assert pair.heals()
    assert pair.passes()
    assert pair.passes(back=True)


def a_link_is_cut_one_way(network: networks.Network) -> None:
    ports = Ports(udp=(15_000,))
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 15_000))
        client.bind(("127.0.0.1", 0))
        for towards, sender, receiver in ((True, client, server), (False, server, client)):
            network.tell(links.cut(ports, towards=towards, back=not towards))
            receiver.settimeout(NEVER_S)
            sender.sendto(b"lost", receiver.getsockname())
            with pytest.raises(TimeoutError):
                receiver.recv(10)
            sender.settimeout(PATIENCE_S)
            receiver.sendto(b"heard", sender.getsockname())
            assert sender.recv(10) == b"heard"
        network.let_pass()


def dead_connections_pass_nothing_and_new_ones_do(network: networks.Network) -> None:
    pair = Pair()
    network.let_die(Ports(tcp=(pair.port,)))
    assert not pair.passes()
    assert not pair.passes(back=True)
    new = socket.create_connection(pair.listener.getsockname(), timeout=PATIENCE_S)
    new.send(b"new")
    served, _ = pair.listener.accept()
    assert served.recv(10) == b"new"
    # Both sides believe in it until they give it up.
    dead = {(pair.port, pair.client.getsockname()[1])}
    assert network.still_dead() == network.bury() == dead
    pair.client.close()
    assert network.still_dead() == dead
    pair.server.close()
    assert network.bury() == set()


def what_is_slow_passes_through_its_class(network: networks.Network) -> None:
    pair = Pair()
    network.slow_down(1_000_000)
    network.tell(links.slow(Ports(tcp=(pair.port,))))
    pair.server.settimeout(PATIENCE_S)
    pair.client.send(b"x")
    assert pair.server.recv(1) == b"x"
    counted = subprocess.run(["tc", "-s", "class", "show", "dev", "lo"], capture_output=True, text=True, check=True)
    assert f"class htb {links.SLOW_CLASS}" in counted.stdout
    assert "Sent 0 bytes" not in counted.stdout
    network.let_pass()
    queues = subprocess.run(["tc", "qdisc", "show", "dev", "lo"], capture_output=True, text=True, check=True)
    assert "htb" not in queues.stdout


def what_a_lossy_link_loses_is_sent_again(network: networks.Network) -> None:
    pair = Pair()
    # TCP waits twice as long after each loss: of one half lost, a hundredth of all runs would wait for minutes.
    network.tell(links.lossy(Ports(tcp=(pair.port,)), 20))
    for _ in range(10):
        assert pair.passes() or pair.heals()
    network.let_pass()
    pair.client.send(b"y")
    pair.server.settimeout(PATIENCE_S)
    assert pair.server.recv(1) == b"y"


CASES = (
    a_link_is_cut_and_heals,
    a_link_is_cut_one_way,
    dead_connections_pass_nothing_and_new_ones_do,
    what_is_slow_passes_through_its_class,
    what_a_lossy_link_loses_is_sent_again,
)


@pytest.mark.parametrize("case", [case.__name__ for case in CASES])
def test_in_a_network_of_its_own(case: str) -> None:
    if reason := networks.missing():
        leave_out(f"{LEFT_OUT}{reason}")
    command = [sys.executable, "-m", __name__, case]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10 * PATIENCE_S)
    assert done.returncode == 0, done.stderr


def main(case: str) -> None:
    """The other side of the test, in the network that it makes."""
    networks.enter("tests.integration.test_faulty_links", [case])
    next(each for each in CASES if each.__name__ == case)(networks.Network())


if __name__ == "__main__":
    main(*sys.argv[1:])
