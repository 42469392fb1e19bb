"""Resume tokens: only what this gateway made, for this user and device, names a session."""

from services.gateway.core.resume import NotResumable, ResumeTokens

_TOKENS = ResumeTokens([b"k" * 32], b"gateway1")
_GOOD = _TOKENS.issue(7, "alice", "phone")
SEEDS = (_GOOD.encode(), _TOKENS.issue(7, "bob", "phone").encode(), b"", b"=" * 64, b"A" * 65)


def fuzz(data: bytes) -> None:
    """Raises for anything but NotResumable, and for another spelling that is taken."""
    token = data.decode("latin-1")
    try:
        session = _TOKENS.read(token, "alice", "phone")
    except NotResumable:
        return
    assert session == 7
    assert token.rstrip("=") == _GOOD
