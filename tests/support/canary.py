"""Finds in logs what people wrote and what nobody else may know: texts, tokens, SDP, passwords, signatures.

What tests send over gRPC is noted as it is serialized, so that each text of each test is a canary. Secrets that are
made on the other side have shapes by which they are known. Stacks keep what they tell Prometheus and the headers of all
their records beside their logs (stack.py), a collector the spans that came to it (otlp.py).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

# Shorter values stand in logs for other reasons: "hello", "audio", names of people. Phrases do not.
MIN_CHARS = 16
LEAST_DISTINCT = 4
MIN_CHARS_OF_A_PHRASE = 6
# What scripts of browsers write, by their own words for it.
_WRITTEN = re.compile(r'\b(?:write|fill|pressSequentially)\([^)"\n]*"([^"\n]+)"')
# Fields that name things rather than say something. Logs may hold ids.
_NAMING = re.compile(
    r"(_id|_ids|_type|_key|format|version|emoji|mime)$|^(page_token|sync_token|id|ids|mid|kind|device|locale|domain|service)$"
)
SHAPES = {
    "a JWT": re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    "an ICE password": re.compile(r"a=ice-pwd:\S"),
    "an SDP": re.compile(r"v=0(\\r)?(\\n|\r?\n)(o|s)="),
    "a signed address": re.compile(r"X-Amz-Signature=[0-9a-f]{8}", re.IGNORECASE),
    "a private key": re.compile(r"BEGIN [A-Z ]*PRIVATE KEY"),
    "a password in an address": re.compile(r"\w+://[^\s:/@]+:(?!\*{3}@)[^\s:/@]+@"),
    "the locals of a frame": re.compile(r'"locals": ?\{"'),
}
_METHODS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Canaries:
    """What was said. Ordered, so that the first is named."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._said)

    def note(self, value: str, where: str) -> None:
        """Something that no log may hold; `where` is what a finding calls it."""
        # Logs are JSON, in which a line is what it is up to its first escaped character.
        longest = max(re.split(r'[\x00-\x1f"\\]|[^\x00-\x7f]', value), key=len)[:200]
        # A few characters again and again are no secret, and stand in names too.
        if len(set(longest)) < LEAST_DISTINCT:
            return
        is_phrase = len(longest) >= MIN_CHARS_OF_A_PHRASE and " " in longest.strip()
        if is_phrase or len(longest) >= MIN_CHARS:
            self._said.setdefault(longest, where)

    def note_script(self, path: Path) -> None:
        """What a script writes in browsers."""
        for text in _WRITTEN.findall(path.read_text()):
            self.note(text, f"a text of {path.name}")

    def note_message(self, message: Message) -> None:
        """All texts of a request but the ids in it."""
        for field, value in message.ListFields():
            values = value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else (value,)
            for one in values:
                if isinstance(one, Message):
                    self.note_message(one)
                elif field.type == FieldDescriptor.TYPE_STRING and not _NAMING.search(field.name):
                    self.note(one, field.full_name)

    def find_in(self, text: str, name: str) -> list[str]:
        """A line for each finding: file, line, and what it is, without the secret itself."""
        canaries = {said: where for said, where in self._said.items() if said in text}
        found = []
        for number, line in enumerate(text.splitlines(), start=1):
            what = [where for said, where in canaries.items() if said in line]
            what += [kind for kind, shape in SHAPES.items() if shape.search(line)]
            found += [f"{name}:{number} holds {each}" for each in what]
        return found

    def find_in_files(self, folder: Path, since: float) -> list[str]:
        """In all logs below a folder that were written since then (Unix seconds)."""
        logs = (path for path in sorted(folder.rglob("*.log")) if path.stat().st_mtime >= since)
        return [each for log in logs for each in self.find_in(log.read_text(errors="replace"), str(log))]

    @contextmanager
    def watching_grpc(self) -> Iterator[None]:
        """Within the block, what is sent on new channels of grpc.aio is noted."""
        originals = {name: getattr(grpc.aio, name) for name in ("insecure_channel", "secure_channel")}
        for name, original in originals.items():
            setattr(grpc.aio, name, self._watching(original))
        try:
            yield
        finally:
            for name, original in originals.items():
                setattr(grpc.aio, name, original)

    def _watching(self, make: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(make)
        def made(*arguments: Any, **more: Any) -> Any:
            channel = make(*arguments, **more)
            for name in _METHODS:
                setattr(channel, name, self._noting(getattr(channel, name)))
            return channel

        return made

    def _noting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def with_notes(path: str, request_serializer: Any = None, *arguments: Any, **more: Any) -> Any:
            def serialize(message: Any) -> Any:
                if isinstance(message, Message):
                    self.note_message(message)
                return request_serializer(message)

            return method(path, serialize if request_serializer else None, *arguments, **more)

        return with_notes


CANARIES = Canaries()
