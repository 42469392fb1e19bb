"""Ports that are given to the parts of the stack."""

from __future__ import annotations

import os
import socket
from random import Random

import pytest

from deploy.embedded.errors import SettingsError
from deploy.embedded.ports import FREE_PORT_RANGE, Ports


def test_taken_port_is_refused_in_one_line_that_names_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(SettingsError) as caught:
            Ports({"PARLEY_PORT_EDGE": str(port)}).tcp("edge", 8080)
    assert str(port) in str(caught.value)
    assert "PARLEY_PORT_EDGE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "-1", "65536", "http", "8080 "])
def test_port_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="PARLEY_PORT_EDGE"):
        Ports({"PARLEY_PORT_EDGE": text}).tcp("edge", 8080)


def test_free_ports_differ_and_lie_below_those_of_outgoing_connections() -> None:
    ports = Ports({})
    given = [ports.tcp(f"part-{number}") for number in range(50)]
    assert len(set(given)) == 50
    assert all(port in FREE_PORT_RANGE for port in given)


def test_same_port_is_not_given_to_two_parts() -> None:
    free = Ports({}).tcp("probe")
    ports = Ports({"PARLEY_PORT_A": str(free), "PARLEY_PORT_B": str(free)})
    assert ports.tcp("a") == free
    with pytest.raises(SettingsError):
        ports.tcp("b")


def test_what_one_stack_was_given_no_other_chooses_although_nothing_listens_there_yet() -> None:
    # By the process: runs beside this one would ask for the same ports in the same order.
    one, other = (Ports({}, chance=Random(os.getpid())) for _ in range(2))
    assert not {one.tcp(f"part-{number}") for number in range(30)} & {
        other.tcp(f"part-{number}") for number in range(30)
    }


def test_name_with_a_dash_is_set_by_a_variable_with_an_underscore() -> None:
    free = Ports({}).tcp("probe")
    assert Ports({"PARLEY_PORT_EDGE_ADMIN": str(free)}).tcp("edge-admin") == free
