"""What the id may be that a client gives its own request, so that a retry is known. All services take the same."""

# Raising it makes keys of tables longer; lowering it shuts out clients that make long ones.
MAX_CLIENT_ID_CHARS = 64
CLIENT_ID_RULE = f"must be 1 to {MAX_CLIENT_ID_CHARS} printable ASCII characters"


def is_client_id(value: str) -> bool:
    """Whether the value can be a client's id of a request: see CLIENT_ID_RULE."""
    return 0 < len(value) <= MAX_CLIENT_ID_CHARS and value.isascii() and value.isprintable()
