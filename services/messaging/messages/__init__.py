"""Messages: sending, changing and reading them."""
