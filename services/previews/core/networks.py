"""Which IP addresses are of the public internet: where a connection may go, whatever name led there.

The registries are IANA's of special purposes (RFC 6890 and those after it). `ipaddress` has most of them, and how much
depends on the release of Python; what stands here is refused besides.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

_SPECIAL_4 = [
    ip_network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        # Protocol assignments; some clouds have their metadata there.
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Azure's host agent: an address like others that every machine there finds its metadata at.
        "168.63.129.16/32",
    )
]
# All that is given out for the public internet: what embeds an address of IPv4 in another way (mapped, NAT64, local)
# is outside of it.
_GLOBAL_6 = ip_network("2000::/3")
_SPECIAL_6 = [
    ip_network(block)
    for block in (
        # Teredo, benchmarks, ORCHID and others.
        "2001::/23",
        "2001:db8::/32",
        # 6to4, which embeds an address of IPv4.
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
]


def is_public(address: IpAddress) -> bool:
    """Whether it is an address of one host of the public internet."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in block for block in _SPECIAL_4)
    # A zone is of a link.
    if address.scope_id is not None or address not in _GLOBAL_6:
        return False
    return address.is_global and not any(address in block for block in _SPECIAL_6)


def read_network(value: str) -> IpNetwork | None:
    """A network as `1.2.3.0/24`; None for anything else."""
    try:
        return ip_network(value)
    except ValueError:
        return None


def read_ip(value: str) -> IpAddress | None:
    """An IP address as resolvers write it; None for anything else."""
    try:
        return ip_address(value)
    except ValueError:
        return None
