"""Which addresses may be asked, by their spelling alone; networks.py has what their names lead to."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from services.previews.core.errors import AddressNotAllowed
from services.runtime.hosts import is_host
from services.runtime.web_hosts import split_address

# As of links in texts.
MAX_URL_CHARS = 2_048
DEFAULT_PORTS = {"http": 80, "https": 443}
WEB_PORTS = frozenset(DEFAULT_PORTS.values())
# Names that lead to nothing outside: of RFC 6761, 6762, 7686, 8375 and 9476, of ICANN (`internal`), and what networks
# and clusters call their own.
_INSIDE = (
    *("localhost", "local", "internal", "test", "invalid", "onion", "alt", "arpa"),
    *("localdomain", "intranet", "private", "corp", "home", "lan", "svc"),
)
# What of RFC 3986 stands in a path with a query, and the escapes that are there.
_AS_WRITTEN = "/?:@!$&'()*+,;=~%[]|"


@dataclass(frozen=True)
class Address:
    """An address that may be asked. `target` is the path with the query, in ASCII, and begins with a slash."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def url(self) -> str:
        """In one spelling, whatever it was written as; the fragment is left out."""
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.target}"


def parse_address(url: str, ports: Collection[int] = WEB_PORTS) -> Address:
    """An http or https address of a host with a public name, at one of these ports. Raises AddressNotAllowed.

    An address in numbers is none, in whatever form it is written; nor is a name that only a network of somebody's own
    can know.
    """
    if len(url) > MAX_URL_CHARS or not url.isprintable() or " " in url:
        raise AddressNotAllowed(f"must have at most {MAX_URL_CHARS} characters, without spaces and controls")
    parts = split_address(url)
    if parts is None:
        raise AddressNotAllowed("must be an http or https address, without credentials or a backslash")
    if not is_host(parts.host) or parts.host.split(".")[-1] in _INSIDE:
        raise AddressNotAllowed("must name a public host, by its name")
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    if port not in ports:
        raise AddressNotAllowed("must be at a port of the web, 80 or 443")
    target = quote(parts.rest.partition("#")[0], safe=_AS_WRITTEN)
    address = Address(parts.scheme, parts.host, port, target if target.startswith("/") else f"/{target}")
    # As it is asked for, and kept: each letter of others than ASCII becomes up to twelve.
    if len(address.url) > MAX_URL_CHARS:
        raise AddressNotAllowed(f"must have at most {MAX_URL_CHARS} characters in ASCII")
    return address


def follow(address: Address, location: str, ports: Collection[int] = WEB_PORTS) -> Address:
    """Where a page sends us on to, checked as if somebody had asked for it. Raises AddressNotAllowed, also for what
    leads from https to http."""
    if not location.isprintable() or " " in location or len(location) > MAX_URL_CHARS:
        raise AddressNotAllowed("leads to what is no address")
    try:
        joined = urljoin(address.url, location)
    except ValueError:
        raise AddressNotAllowed("leads to what is no address") from None
    following = parse_address(joined, ports)
    if address.scheme == "https" and following.scheme != "https":
        raise AddressNotAllowed("leads from https to http")
    return following
