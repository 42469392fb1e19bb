"""The SQL of signaling, and what it binds and gives back."""
