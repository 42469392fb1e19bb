"""Messages that all members of a conversation keep in view."""
