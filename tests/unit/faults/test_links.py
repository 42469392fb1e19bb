"""What nft and tc are told of a link, and what is read in /proc."""

from __future__ import annotations

import pytest

from tests.faults.checker import links
from tests.faults.checker.links import Ports

# A server at 15000 (0x3A98) with inode 11 and a connection from 40000 (0x9C40), whose other end is inode 12; another
# one at 15008 (0x3AA0), inode 13, of somebody else, with a client that has closed (FIN_WAIT1).
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3A98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0000000000000000 100 0
   1: 0100007F:3A98 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 14 1 0000000000000000 20 4
   2: 0100007F:9C40 0100007F:3A98 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0000000000000000 20 4
   3: 0100007F:3AA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1 0000000000000000 100 0
   4: 0100007F:9C42 0100007F:3AA0 04 00000000:00000001 01:00000019 00000000     0        0 0 2 0000000000000000 20 4
"""
# Of Java, which has IPv4 in IPv6 sockets: 15016 (0x3AA8), inode 15.
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when \
retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:3AA8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 \
00000000     0        0 15 1 0000000000000000 100 0 0 10 0
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 0100007F:3AB0 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16 2 0000000000000000 0
"""


def test_a_process_listens_where_its_own_sockets_do() -> None:
    assert links.ports_of(TCP + TCP6, UDP, {11, 12, 15, 16}) == Ports(tcp=(15000, 15016), udp=(15024,))


def test_a_connection_is_known_by_either_of_its_ends() -> None:
    of_server = "\n".join(TCP.splitlines()[:3])
    of_client = "\n".join(line for line in TCP.splitlines() if not line.lstrip().startswith("1:"))
    for text in (TCP, of_server, of_client):
        assert links.connections_to(text, Ports(tcp=(15000,))) == {(15000, 40000)}


def test_a_connection_that_is_given_up_is_none() -> None:
    assert links.connections_to(TCP, Ports(tcp=(15008,))) == set()


def test_a_cut_drops_what_comes_in_both_directions_and_of_both_protocols() -> None:
    assert (
        links.cut(Ports(tcp=(15000, 15008), udp=(15024,)))
        == """\
table inet parley_link
delete table inet parley_link
table inet parley_link {
  chain input {
    type filter hook input priority filter; policy accept;
    tcp dport { 15000, 15008 } drop
    tcp sport { 15000, 15008 } drop
    udp dport { 15024 } drop
    udp sport { 15024 } drop
  }
}
"""
    )


@pytest.mark.parametrize(("back", "kept"), [(False, "dport"), (True, "sport")])
def test_a_cut_of_one_way_leaves_the_other(back: bool, kept: str) -> None:
    rules = links.cut(Ports(tcp=(15000,)), towards=not back, back=back)
    assert [line.strip() for line in rules.splitlines() if "drop" in line] == [f"tcp {kept} {{ 15000 }} drop"]


def test_some_packets_of_a_lossy_link_are_dropped() -> None:
    assert "tcp dport { 15000 } numgen random mod 100 < 10 drop" in links.lossy(Ports(tcp=(15000,)), 10)


def test_a_slow_link_is_a_class_of_what_goes_out() -> None:
    rules = links.slow(Ports(udp=(15024,)))
    assert "type filter hook output priority mangle" in rules
    assert f"udp sport {{ 15024 }} meta priority set {links.SLOW_CLASS}" in rules
    assert links.SLOW_CLASS in links.slow_queue(128_000)[1]
    assert "128000bit" in links.slow_queue(128_000)[1]


def test_dead_connections_are_named_by_both_ports_and_new_ones_are_not() -> None:
    rules = links.dead({(15000, 40002), (15000, 40000)})
    assert "tcp dport . tcp sport { 15000 . 40000, 15000 . 40002 } drop" in rules
    assert "tcp sport . tcp dport { 15000 . 40000, 15000 . 40002 } drop" in rules


def test_without_dead_connections_there_is_no_table() -> None:
    assert links.dead(set()) == links.no_table(links.DEAD)


def test_a_process_that_listens_nowhere_is_cut_off_from_nobody() -> None:
    assert "drop" not in links.cut(Ports())
