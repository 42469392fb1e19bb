"""What can go wrong while the embedded stack starts. Each message is one line, made for the person at the terminal."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot run; the process exits with `exit_code`."""

    exit_code = 1


class SettingsError(StackError):
    """A setting is wrong, or a port is taken: the person at the terminal can correct it."""

    exit_code = 2


class StartError(StackError):
    """A process ended, or was not ready in time, while the stack started."""
