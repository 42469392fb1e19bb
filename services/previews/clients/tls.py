"""TLS towards hosts that may mean no good: what they send beneath the page counts, too."""

import ssl
from pathlib import Path
from typing import Any


class TooMuchSent(ssl.SSLError):
    """More than a page takes."""


class BoundedTls(ssl.SSLContext):
    """For clients, with the authorities that the system knows, or those of a file. A connection that brings more than
    `max_bytes`, in all, is given up: of what is sent beside pages, such as tickets without end, nobody above hears."""

    max_bytes: int

    @classmethod
    def of(cls, max_bytes: int, ca_file: Path | None = None) -> "BoundedTls":
        """As ssl.create_default_context makes one."""
        made = cls(ssl.PROTOCOL_TLS_CLIENT)
        made.max_bytes = max_bytes
        made.sslobject_class = _Bounded
        if ca_file:
            made.load_verify_locations(ca_file)
        else:
            made.load_default_certs()
        return made

    def wrap_bio(self, incoming: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        """What event loops call for each connection."""
        made = super().wrap_bio(incoming, *args, **options)
        assert isinstance(made, _Bounded)
        made.incoming, made.left = incoming, self.max_bytes
        return made


class _Bounded(ssl.SSLObject):
    incoming: ssl.MemoryBIO
    left: int

    def read(self, *args: Any, **options: Any) -> Any:
        before = self.incoming.pending
        try:
            return super().read(*args, **options)
        finally:
            self.left -= before - self.incoming.pending
            if self.left < 0:
                raise TooMuchSent("the host sends too much")
