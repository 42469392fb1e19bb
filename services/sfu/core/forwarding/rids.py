"""The names of simulcast layers (RFC 8851): which is the higher one, where they say so."""

from collections.abc import Sequence
from typing import Final

_SCHEMES: Final = (
    ("q", "h", "f"),
    ("l", "m", "h"),
    ("lo", "mid", "hi"),
    ("low", "mid", "high"),
    ("low", "medium", "high"),
)


def order_rids(rids: Sequence[str]) -> tuple[str, ...]:
    """The rids from the lowest layer to the highest: by the common names, else as they were offered."""
    for scheme in _SCHEMES:
        if all(rid in scheme for rid in rids):
            return tuple(sorted(rids, key=scheme.index))
    return tuple(rids)


def has_common_names(rids: Sequence[str]) -> bool:
    """Whether the names say which layer is which."""
    return any(all(rid in scheme for rid in rids) for scheme in _SCHEMES)
