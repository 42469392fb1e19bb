"""Which addresses previews ask: each in one spelling, and no other program reads another host in it.

An input is an address, and after a tab where its page leads on to.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from yarl import URL

from services.previews.core.addresses import Address, follow, parse_address
from services.previews.core.errors import AddressNotAllowed

SEEDS = tuple(
    seed.encode()
    for seed in (
        *(
            "https://page.example/a?b=c#d\t/e",
            "HTTP://Page.Example.:80\t//other.example",
            "https://b\u00fccher.example",
        ),
        *(
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://[::ffff:1.2.3.4]/",
            "http://a@b.example/",
            "http://1.2.3.4.5/",
        ),
        *("https://page.example\t\\\\other.example", "https://page.example/\thttps://a.example:443/%2e%2e/%00?%"),
        *("http://page.example/\thttp:other", "http://page\u3002example", "http://\u24d5.example/\t?\u20ac", ""),
    )
)


def fuzz(data: bytes) -> None:
    """Raises for anything but AddressNotAllowed."""
    asked, _, location = data.decode("utf-8", "replace").partition("\t")
    try:
        address = parse_address(asked)
        _check(address)
        led = follow(address, location)
    except AddressNotAllowed:
        return
    _check(led)
    assert address.scheme != "https" or led.scheme == "https"


def _check(address: Address) -> None:
    assert parse_address(address.url) == address
    assert re.fullmatch(r"/[!-~]*", address.target)
    assert address.port in (80, 443)
    # As those read it who ask, and others.
    asked, split = URL(address.url, encoded=True), urlsplit(address.url)
    for scheme, host, port in (
        (asked.scheme, asked.raw_host, asked.port),
        (split.scheme, split.hostname, split.port or {"http": 80, "https": 443}[split.scheme]),
    ):
        assert (scheme, host, port) == (address.scheme, address.host, address.port)
    # A question mark with nothing behind it is not asked for.
    assert asked.raw_path_qs == address.target.removesuffix("?")
    assert asked.user is None
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return
    raise AssertionError("an address in numbers")
