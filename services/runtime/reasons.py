"""What a server of the back office may say for why it does something to somebody. All services take the same."""

# Raising it makes rows of the audit record larger; lowering it shuts out explanations.
MAX_REASON_CHARS = 200
REASON_RULE = f"must have 1 to {MAX_REASON_CHARS} characters, all of which can be printed"


def is_reason(value: str) -> bool:
    """Whether the value can be a reason: see REASON_RULE."""
    return 0 < len(value) <= MAX_REASON_CHARS and value.isprintable() and bool(value.strip())
