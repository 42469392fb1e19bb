"""Texts that are made to be slow to read: whatever reads one takes time by its length, not by the square of it.

Where it is the square, one request stops a replica for minutes. Nothing here looks at a clock: a text is so long that a
test of what takes the square of it does not end.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from services.messaging.attachments.core.uploads import check_file_name
from services.messaging.kernel.checks import check_title, check_url
from services.messaging.kernel.emojis import split_emojis
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.file_names import safe_file_name
from services.messaging.kernel.folding import fold
from services.messaging.kernel.links import host_of, names_its_host
from services.messaging.search.core import words_of

CHARS = 30_000
EVIL = "https://evil.example/"
PIECES = (
    *("a", "a.", "a-", "-", ".", "_", "1", "a'", "x ", " ", "\t", "( dot )", " .", "[", "//", "x@", "%41", "a:", "&"),
    *("http:", "https ", "hxxp :", "\ufdfa", "\ufb03", "a\u0301", "\u0301", "\u0327\u0301", "\u0f71\u0f72\u0f74"),
    *('\u05d0"', '\u05d0\u05b0"', "\u0e48\u0e4d", "\u0e01", "\u6f22", "\u304b\u3099", "\u1100", "\u094d\u0915"),
    *("\U0001f44d", "\U0001f44d\u200d", "\u200d", "\ufe0f", "\U0001f3fd", "\U0001f1e6", "1\ufe0f\u20e3", "\u200b"),
)
READERS: dict[str, Callable[[str], object]] = {
    "the whole text is a link": lambda text: names_its_host(text, 0, len(text), EVIL),
    "its beginning is a link": lambda text: names_its_host(text, 0, 1, EVIL),
    "its end is a link": lambda text: names_its_host(text, len(text) - 1, len(text), EVIL),
    "an address": lambda text: host_of(f"http://{text}"),
    "the address of a link": lambda text: check_url(f"http://{text}"),
    "a text that is indexed": words_of,
    "a text that is folded": fold,
    "a text with emojis": split_emojis,
    "a title": check_title,
    "a file's name": lambda text: safe_file_name(check_file_name(text), "image/png"),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_text_that_is_made_to_be_slow_to_read_is_read(reader: Callable[[str], object]) -> None:
    for piece in PIECES:
        text = f"x{piece * (CHARS // len(piece))}."
        with suppress(InvalidField):
            reader(text)


def test_only_one_module_normalizes_texts() -> None:
    """Python's own takes the square of a run of marks."""
    found = [
        str(path)
        for path in Path("services").rglob("*.py")
        if "node_modules" not in path.parts and path.name != "characters.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if "normalize" in (getattr(node, "attr", ""), getattr(node, "name", ""))
    ]
    assert found == []
