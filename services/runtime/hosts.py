"""Names of hosts in the one spelling in which they can be compared as they are."""

import re

MAX_HOST_CHARS = 253
_HOST = re.compile(r"(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


def is_host(value: str) -> bool:
    """Whether it is a domain in ASCII (punycode) and lower case, without a dot at its end: no address in numbers, no
    wildcard, no port."""
    return len(value) <= MAX_HOST_CHARS and _HOST.fullmatch(value) is not None
