"""Where connections may go: IANA's registries of special-purpose addresses, block by block."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.previews.core.networks import is_public, read_ip

# https://www.iana.org/assignments/iana-ipv4-special-registry, and those of multicast.
SPECIAL_4 = [
    *("0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32"),
    *("192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32"),
    *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"),
    *("233.252.0.0/24", "240.0.0.0/4", "255.255.255.255/32"),
    # Metadata of clouds.
    *("169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
]
# https://www.iana.org/assignments/iana-ipv6-special-registry, and what embeds addresses of IPv4.
SPECIAL_6 = [
    *("::1/128", "::/128", "::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64"),
    *("100:0:0:1::/64", "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48"),
    *("2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16"),
    *("2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    *("fd00:ec2::254/128", "fd20:ce::254/128", "4000::/3", "8000::/1"),
]


@pytest.mark.parametrize("block", SPECIAL_4 + SPECIAL_6)
def test_no_address_of_a_special_block_is_public(block: str) -> None:
    network = ip_network(block)
    middle = network[network.num_addresses // 2]
    assert not any(is_public(address) for address in (network[0], middle, network[-1]))


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
        *(
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
        ),
        *("198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2001:4860:4860::8888", "2a00::1"),
        "2001:200::1",
    ],
)
def test_their_neighbours_are_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_an_address_of_a_link_is_not_public() -> None:
    assert not is_public(IPv6Address("2606:4700::1111%eth0"))


@given(st.integers(0, 2**32 - 1))
def test_no_spelling_of_ipv4_in_ipv6_is_public(number: int) -> None:
    v4 = int(IPv4Address(number))
    mapped, translated, compatible = (IPv6Address(prefix | v4) for prefix in (0xFFFF << 32, 0x64FF9B << 96, 0))
    to4 = IPv6Address((0x2002 << 112) | (v4 << 80))
    teredo = IPv6Address((0x20010000 << 96) | (v4 ^ 0xFFFFFFFF))
    assert not any(map(is_public, (mapped, translated, compatible, to4, teredo)))


@given(st.ip_addresses())
def test_what_is_public_is_so_to_python_too(address: IPv4Address | IPv6Address) -> None:
    assert not is_public(address) or (address.is_global and not address.is_multicast and not address.is_private)


def test_only_whole_addresses_are_read() -> None:
    assert read_ip("1.2.3.4") == IPv4Address("1.2.3.4")
    assert [read_ip(value) for value in ("", "1.2", "0x7f000001", "example.org", "1.2.3.4/32")] == [None] * 5
