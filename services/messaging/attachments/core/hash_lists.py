"""Lists of files that nobody may send or fetch, by the SHA-256 of their bytes."""

from collections.abc import Collection

DIGEST_BYTES = 32


def read_hashes(data: bytes) -> frozenset[bytes]:
    """The digests of a list: one in hex a line; what follows a `#`, or a space behind the digest, is a remark. Raises
    ValueError, with the number of the line."""
    found = set()
    for number, line in enumerate(data.splitlines(), 1):
        word = line.partition(b"#")[0].split(maxsplit=1)
        if not word:
            continue
        try:
            digest = bytes.fromhex(word[0].decode("ascii"))
        except ValueError:
            digest = b""
        if len(digest) != DIGEST_BYTES:
            raise ValueError(f"line {number} is not the SHA-256 of a file, in hex")
        found.add(digest)
    return frozenset(found)


def is_listed(digest: bytes, hashes: Collection[bytes]) -> bool:
    """Whether nobody may have it. A file whose digest was never taken is on no list."""
    return bool(digest) and digest in hashes
