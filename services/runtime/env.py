"""Reads the environment: all problems are reported at once, and the process exits with 2."""

import base64
import binascii
from collections.abc import Mapping

from services.runtime.hosts import is_host


class ConfigError(Exception):
    """The environment does not make a valid configuration. `problems` has one line for each fault."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class EnvReader:
    """Reads variables and collects what is wrong with them, so that an operator sees every fault in one go.

    Each method returns a stand-in of the right type for a faulty value; `finish` then raises.
    """

    def __init__(self, env: Mapping[str, str], problems: list[str] | None = None) -> None:
        self._env = env
        self._problems = [] if problems is None else problems

    def problem(self, line: str) -> None:
        """Record a fault found by the caller, such as two values that exclude each other."""
        self._problems.append(line)

    def text(self, name: str, default: str | None = None) -> str:
        """A string; required when there is no default."""
        value = self._env.get(name, "").strip()
        if value:
            return value
        if default is None:
            self.problem(f"{name} is not set")
            return ""
        return default

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number from low to high."""
        return int(self._number(name, default, low, high, whole=True))

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """A number from low to high."""
        return self._number(name, default, low, high, whole=False)

    def boolean(self, name: str, default: bool) -> bool:
        """`true` or `false`."""
        value = self._env.get(name, "").strip().lower()
        if value in ("true", "false"):
            return value == "true"
        if value:
            self.problem(f"{name} is {value!r}, not true or false")
        return default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of the given words."""
        value = self.text(name, default)
        if value not in choices:
            self.problem(f"{name} is {value!r}, not one of {', '.join(choices)}")
            return default
        return value

    def words(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Several words, separated by commas."""
        found = tuple(part.strip() for part in self._env.get(name, "").split(",") if part.strip())
        return found or default

    def address(self, name: str, default: str | None = None) -> str:
        """A `host:port`."""
        value = self.text(name, default)
        if value and not is_address(value):
            self.problem(f"{name} is {value!r}, not host:port")
        return value

    def addresses(self, name: str, default: str | None = None) -> tuple[str, ...]:
        """Several `host:port`, separated by commas."""
        values = tuple(part.strip() for part in self.text(name, default).split(",") if part.strip())
        for value in values:
            if not is_address(value):
                self.problem(f"{name} has {value!r}, which is not host:port")
        return values

    def hosts(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Several hosts, separated by commas, each in the one spelling of hosts.is_host."""
        values = self.words(name, default)
        for value in values:
            if not is_host(value):
                self.problem(f"{name} has {value!r}, which is not a host in ASCII and lower case")
        return values

    def key(self, name: str) -> bytes:
        """A secret of at least 32 bytes, in base64. Its value never stands in a problem line."""
        value = self.text(name)
        try:
            secret = base64.b64decode(value, validate=True)
        except binascii.Error:
            self.problem(f"{name} is not base64")
            return b""
        if value and len(secret) < 32:
            self.problem(f"{name} is shorter than 32 bytes")
        return secret

    def keys(self, name: str) -> tuple[bytes, ...]:
        """One secret as `key` has it, or several, separated by commas: the first signs, all are believed."""
        value = self.text(name)
        parts = [part.strip() for part in value.split(",")] if value else []
        return tuple(EnvReader({name: part}, self._problems).key(name) for part in parts)

    def finish(self) -> None:
        """Raise ConfigError when anything was wrong."""
        if self._problems:
            raise ConfigError(self._problems)

    def _number(self, name: str, default: float, low: float, high: float, *, whole: bool) -> float:
        text = self._env.get(name, "").strip()
        if not text:
            return default
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            self.problem(f"{name} is {text!r}, not a {'whole ' if whole else ''}number")
            return default
        if not low <= value <= high:
            self.problem(f"{name} is {text}, not within {low} to {high}")
            return default
        return value


def is_address(value: str) -> bool:
    """Whether the value is `host:port`."""
    host, _, port = value.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and int(port) <= 65535
