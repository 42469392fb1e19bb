"""The devices' event streams."""
