"""Messages that are written now and sent at a time."""
