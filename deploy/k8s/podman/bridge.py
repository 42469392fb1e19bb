"""The bridge of podman's network, as far as podman leaves it to itself."""

import fcntl
import socket
import struct
from pathlib import Path

# linux/sockios.h, linux/if_arp.h
_SIOCSIFHWADDR = 0x8924
_ARPHRD_ETHER = 1


def keep_address(interface: str) -> None:
    """Gives the interface the hardware address that it has, for good: a bridge then takes none of its members'.

    Idempotent. Raises OSError when there is no such interface, or without the right to change it.
    """
    address = bytes.fromhex(Path("/sys/class/net", interface, "address").read_text().strip().replace(":", ""))
    request = struct.pack("16sH6s8x", interface.encode(), _ARPHRD_ETHER, address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFHWADDR, request)
