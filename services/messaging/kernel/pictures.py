"""Addresses of pictures that people's devices load from a provider, since somebody sent them.

What programs could read in two ways is refused, so that the host that is compared is the host that is asked. Knows no
kind of content, so that kernel/content.py can ask.
"""

import re

from services.runtime.hosts import is_host

# Raising it makes bigger messages and events; lowering it refuses providers that put keys into their addresses.
MAX_PICTURE_URL_CHARS = 1_024
# A path with a query, in the characters of RFC 3986. No escapes of controls.
_ADDRESS = re.compile(
    r"https://(?P<host>[a-z0-9.-]+)/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%(?:[2-689A-Fa-f][0-9A-Fa-f]|7[0-9A-Ea-e]))*"
)


def picture_host(url: str) -> str | None:
    """The host of the address of a picture; None for what is no such address: another scheme, another spelling of the
    host than hosts.is_host has, a user, a port, a fragment, what belongs escaped, a control that is."""
    match = _ADDRESS.fullmatch(url) if len(url) <= MAX_PICTURE_URL_CHARS else None
    return match["host"] if match and is_host(match["host"]) else None
