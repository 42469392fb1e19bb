"""What a user's id may be. The network chooses it; all services take the same."""

# Raising it takes longer ids of the network, and makes keys longer; lowering it shuts out people who have a long one.
MAX_USER_ID_CHARS = 64
USER_ID_RULE = f"must be 1 to {MAX_USER_ID_CHARS} printable ASCII characters without spaces"


def is_user_id(value: str) -> bool:
    """Whether the value can be a user's id: see USER_ID_RULE."""
    return 0 < len(value) <= MAX_USER_ID_CHARS and value.isascii() and value.isprintable() and " " not in value
