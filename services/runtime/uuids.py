"""What is an id of ours: one rule for all services. How they are made, ids.py knows."""

import uuid


def parse_id(text: str) -> uuid.UUID | None:
    """The id that a client wrote, in the usual form of 36 characters (RFC 9562 section 4); None where it is none.

    `uuid.UUID` alone takes braces, dashes anywhere and digits of other scripts: one id would have many spellings.
    """
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None
