"""What conversations and messages are, and what may happen to them: no IO, no clock, no randomness."""
