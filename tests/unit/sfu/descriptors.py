"""Dependency descriptors and scalable streams for the tests of the core.

The structures are those of the examples in the AV1 RTP specification, section A.10.2, written down by hand; the one of
K-SVC is made as Chromium describes VP9: templates for all, and what a frame is to its targets in each packet.
"""

from itertools import pairwise
from typing import NamedTuple

from services.sfu.core.wire.dependency_descriptor import DescriptorReader, Frame

_INDICATIONS = "-DSR"


class Bits:
    def __init__(self) -> None:
        self._text = ""

    def put(self, value: int, count: int) -> None:
        """f(n)"""
        assert value < 1 << count
        self._text += f"{value:0{count}b}" if count else ""

    def put_below(self, value: int, limit: int) -> None:
        """write_ns(n, v)"""
        width = limit.bit_length()
        shorter = (1 << width) - limit
        if value < shorter:
            self.put(value, width - 1)
        else:
            self.put(value + shorter, width)

    def bytes(self) -> bytes:
        text = self._text + "0" * (-len(self._text) % 8)
        return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


class Row(NamedTuple):
    """A template as the specification's tables have it."""

    spatial: int
    temporal: int
    fdiffs: tuple[int, ...]
    chains: tuple[int, ...]
    indications: str


class Table(NamedTuple):
    """A structure; `protected_by` for each target, `sizes` (width, height) by spatial layer."""

    rows: tuple[Row, ...]
    protected_by: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...] = ()
    id_offset: int = 0


L1T3 = Table(
    (
        Row(0, 0, (), (0,), "SSS"),
        Row(0, 0, (4,), (4,), "SSS"),
        Row(0, 1, (2,), (2,), "SD-"),
        Row(0, 2, (1,), (1,), "D--"),
        Row(0, 2, (1,), (3,), "D--"),
    ),
    (0, 0, 0),
    id_offset=30,
)
L3T3 = Table(
    (
        Row(0, 0, (), (0, 0, 0), "SSSSSSSSS"),
        Row(0, 0, (12,), (12, 11, 10), "RRRRRRSSS"),
        Row(0, 1, (6,), (6, 5, 4), "RR-RR-SD-"),
        Row(0, 2, (3,), (3, 2, 1), "R--R--D--"),
        Row(0, 2, (3,), (9, 8, 7), "R--R--D--"),
        Row(1, 0, (1,), (1, 1, 1), "SSSSSS---"),
        Row(1, 0, (12, 1), (1, 1, 1), "RRRSSS---"),
        Row(1, 1, (6, 1), (7, 6, 5), "RR-SD----"),
        Row(1, 2, (3, 1), (4, 3, 2), "R--D-----"),
        Row(1, 2, (3, 1), (10, 9, 8), "R--D-----"),
        Row(2, 0, (1,), (2, 1, 1), "SSS------"),
        Row(2, 0, (12, 1), (2, 1, 1), "SSS------"),
        Row(2, 1, (6, 1), (8, 7, 6), "SD-------"),
        Row(2, 2, (3, 1), (5, 4, 3), "D--------"),
        Row(2, 2, (3, 1), (11, 10, 9), "D--------"),
    ),
    (2, 2, 2, 1, 1, 1, 0, 0, 0),
    ((320, 180), (640, 360), (1280, 720)),
    id_offset=60,
)
# Pictures of a T3 pattern: the temporal layer, and the templates of a picture's frames in L1T3 and L3T3.
PATTERN = (0, 2, 1, 2)
_L1T3 = (1, 3, 2, 4)
_L3T3 = ((1, 6, 11), (3, 8, 13), (2, 7, 12), (4, 9, 14))
K_SVC = Table(
    tuple(Row(s, 0, (3,), (1, 1, 1), "".join("S" if s <= target else "-" for target in range(3))) for s in range(3)),
    (0, 1, 2),
    ((320, 180), (640, 360), (1280, 720)),
)


def _put_indications(bits: Bits, indications: str) -> None:
    for letter in indications:
        bits.put(_INDICATIONS.index(letter), 2)


def _put_structure(bits: Bits, table: Table) -> None:
    rows, chains = table.rows, len(table.rows[0].chains)
    bits.put(table.id_offset, 6)
    bits.put(len(table.protected_by) - 1, 5)
    for row, after in pairwise(rows):
        bits.put(2 if after.spatial > row.spatial else 1 if after.temporal > row.temporal else 0, 2)
    bits.put(3, 2)
    for row in rows:
        _put_indications(bits, row.indications)
    for row in rows:
        for fdiff in row.fdiffs:
            bits.put(1, 1)
            bits.put(fdiff - 1, 4)
        bits.put(0, 1)
    bits.put_below(chains, len(table.protected_by) + 1)
    if chains:
        for chain in table.protected_by:
            bits.put_below(chain, chains)
    for row in rows:
        for fdiff in row.chains:
            bits.put(fdiff, 4)
    bits.put(bool(table.sizes), 1)
    for width, height in table.sizes:
        bits.put(width - 1, 16)
        bits.put(height - 1, 16)


def descriptor(
    table: Table,
    row: int,
    number: int,
    *,
    starts: bool = True,
    ends: bool = True,
    structure: bool = False,
    active: int | None = None,
    indications: str = "",
    fdiffs: tuple[int, ...] | None = None,
    chains: tuple[int, ...] = (),
) -> bytes:
    """The bytes of a descriptor of the template `row`; what is given besides it is custom."""
    bits = Bits()
    bits.put(starts, 1)
    bits.put(ends, 1)
    bits.put((row + table.id_offset) % 64, 6)
    bits.put(number & 0xFFFF, 16)
    flags = (structure, active is not None, bool(indications), fdiffs is not None, bool(chains))
    if not any(flags):
        return bits.bytes()
    for flag in flags:
        bits.put(flag, 1)
    if structure:
        _put_structure(bits, table)
    if active is not None:
        bits.put(active, len(table.protected_by))
    _put_indications(bits, indications)
    if fdiffs is not None:
        for fdiff in fdiffs:
            size = 1 if fdiff <= 16 else 2 if fdiff <= 256 else 3
            bits.put(size, 2)
            bits.put(fdiff - 1, 4 * size)
        bits.put(0, 2)
    for fdiff in chains:
        bits.put(fdiff, 8)
    return bits.bytes()


def l1t3(picture: int, since: int = -1, *, is_bare: bool = False) -> list[bytes]:
    """The one frame of a picture in L1T3; frame numbers begin with 1.

    `since`: how many pictures before it the last key frame is, of the picture's own number where not given. `is_bare`:
    without the structure, as in all packets of a key frame but the first.
    """
    since = picture if since < 0 else since
    row = _L1T3[since % 4] if since else 0
    return [descriptor(L1T3, row, picture + 1, structure=not since and not is_bare)]


def l3t3(picture: int, since: int = -1, *, is_bare: bool = False) -> list[bytes]:
    """The three frames of a picture in L3T3, as above."""
    since = picture if since < 0 else since
    rows = _L3T3[since % 4] if since else (0, 5, 10)
    first = 3 * picture + 1
    return [
        descriptor(L3T3, row, first + s, structure=not since and not s and not is_bare) for s, row in enumerate(rows)
    ]


def k_svc(picture: int, since: int = -1, *, is_bare: bool = False) -> list[bytes]:
    """The same in K-SVC without temporal layers: each layer needs those below it in key frames only."""
    return _k_svc(picture, since, is_bare, layers=3)


def two_of_three(picture: int, since: int = -1, *, is_bare: bool = False) -> list[bytes]:
    """The same by an encoder that describes a layer more than it sends, as Chromium's of VP9 do."""
    return _k_svc(picture, since, is_bare, layers=2)


def _k_svc(picture: int, since: int, is_bare: bool, layers: int) -> list[bytes]:
    is_key = since == 0 or (since < 0 and not picture)
    frames = []
    for s in range(layers):
        needed = "".join("S" if t == s or (is_key and t > s) else "-" for t in range(3))
        fdiffs = (() if s == 0 else (1,)) if is_key else (3,)
        chains = tuple(_chain_fdiff(is_key, s, chain) for chain in range(3))
        has_structure = is_key and not s and not is_bare
        frames.append(
            descriptor(
                K_SVC,
                s,
                3 * picture + 1 + s,
                structure=has_structure,
                active=(1 << layers) - 1 if has_structure else None,
                indications=needed,
                fdiffs=fdiffs,
                chains=chains,
            )
        )
    return frames


def _chain_fdiff(is_key: bool, spatial: int, chain: int) -> int:
    """In a chain are the frames of its layer, and of a key frame those below it."""
    if is_key:
        return 0 if spatial == 0 else 1 if chain >= spatial else spatial - chain
    return spatial - chain if chain < spatial else spatial - chain + 3


def read_all(pictures: list[list[bytes]]) -> list[list[Frame]]:
    """The frames of pictures, read one after the other."""
    reader = DescriptorReader()
    found = [[reader.read(value) for value in picture] for picture in pictures]
    assert all(frame is not None for picture in found for frame in picture)
    return [[frame for frame in picture if frame is not None] for picture in found]
