"""What the tests share: the embedded stack and its parts as fixtures."""
