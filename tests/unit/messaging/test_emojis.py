"""Emojis are found in texts as Unicode's grapheme clusters part them (UAX #29)."""

from __future__ import annotations

import regex
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.kernel.emojis import qualified, split_emojis

# Letters of flags, and what may follow or join them.
SOME = "\U0001f1e9\U0001f1ea\U0001f1fa\U0001f1f8a\u200d\ufe0f\u0301\U0001f44d\U0001f3fd1\u20e3"


def test_two_letters_are_a_flag_and_one_is_left() -> None:
    assert split_emojis("\U0001f1e9\U0001f1ea\U0001f1fa\U0001f1f8\U0001f1e9") == (
        ["\U0001f1e9\U0001f1ea", "\U0001f1fa\U0001f1f8"],
        "  \U0001f1e9",
    )


@given(st.text(SOME, max_size=12))
def test_every_cluster_that_is_one_emoji_is_found(text: str) -> None:
    found, _ = split_emojis(text)
    clusters = [cluster for cluster in regex.findall(r"\X", text) if qualified(cluster)]
    assert [each for each in map(_bare, clusters) if each not in found] == []


def _bare(emoji: str) -> str:
    return emoji.replace("\ufe0f", "").replace("\ufe0e", "")
