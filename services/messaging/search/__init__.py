"""Search: the words of texts."""
