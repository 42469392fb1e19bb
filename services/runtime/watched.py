"""What files say, read again whenever they were replaced: keys and certificates are renewed without a restart."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from services.runtime.env import ConfigError

log = structlog.get_logger()

T = TypeVar("T")


class Watched(Generic[T]):
    """What some files that belong together say. Looked at whenever it is used, which costs a `stat` each.

    Files that are faulty, or do not fit each other, are logged, and what they said before goes on to serve. Raises
    ConfigError when they are so at the start. `name` begins the events in the log.
    """

    def __init__(self, name: str, paths: Sequence[str], read: Callable[[Sequence[bytes]], T]) -> None:
        """`read` makes the value of the files' bytes; its ValueErrors must not quote them: they may hold a secret."""
        self._name = name
        self._paths = tuple(Path(path) for path in paths)
        self._read = read
        try:
            self._seen = self._stamps()
            self._value = self._read_all()
        except (OSError, ValueError) as error:
            # Never the text: it may hold a private key.
            raise ConfigError([f"{self._shown}: {_fault(error)}"]) from None

    def get(self) -> T:
        """The newest good value."""
        seen: object = None
        try:
            seen = self._stamps()
            if seen != self._seen:
                self._value = self._read_all()
                log.info(f"{self._name}_read", path=self._shown)
        except (OSError, ValueError) as error:
            if seen != self._seen:
                log.warning(f"{self._name}_faulty", path=self._shown, fault=_fault(error))
        self._seen = seen
        return self._value

    @property
    def _shown(self) -> str:
        return ", ".join(map(str, self._paths))

    def _read_all(self) -> T:
        return self._read([path.read_bytes() for path in self._paths])

    def _stamps(self) -> object:
        stats = [path.stat() for path in self._paths]
        return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in stats)


def _fault(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
    return "is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
