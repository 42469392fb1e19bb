"""The first bytes of a file decide whether it is of the type that it says it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.attachments.core.file_types import HEAD_BYTES, is_of_type
from services.messaging.attachments.core.uploads import DEFAULT_TYPES
from services.messaging.kernel.media_types import alike
from tests.support.file_samples import OTHERS, SAMPLES

TEXTS = ("text/plain", "text/csv")


def test_there_are_samples_of_every_type() -> None:
    assert {name for known in SAMPLES for name in alike(known)} == set(DEFAULT_TYPES)


@pytest.mark.parametrize("content_type", SAMPLES)
def test_a_file_passes_for_its_own_form_and_no_other(content_type: str) -> None:
    for head in SAMPLES[content_type]:
        for declared in DEFAULT_TYPES:
            assert is_of_type(head[:HEAD_BYTES], declared) is (declared in alike(content_type)), (head[:20], declared)


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_none_of_them_passes_for_none(what: str) -> None:
    assert [declared for declared in DEFAULT_TYPES if is_of_type(OTHERS[what], declared)] == []
    assert not is_of_type(OTHERS[what], "audio/3gpp2")


def test_types_beyond_the_table_take_what_is_known_to_be_theirs_or_is_unknown_and_no_programs() -> None:
    assert is_of_type(OTHERS["a 7z"], "application/x-7z-compressed")
    assert is_of_type(b"\x01\x02\x03\x04 a form of a network's own", "application/x-own")
    assert not is_of_type(OTHERS["a program of Linux"], "application/x-own")
    assert not is_of_type(OTHERS["a page"], "application/x-own")
    assert is_of_type(OTHERS["a drawing with scripts"], "image/svg+xml")
    assert is_of_type(OTHERS["a page"], "text/html")


@given(st.binary(max_size=200), st.sampled_from([*DEFAULT_TYPES, "application/x-own", "text/html"]))
def test_any_bytes_are_judged_without_an_error(head: bytes, declared: str) -> None:
    is_of_type(head, declared)
    is_of_type(b"\x00\x00\x00\x20ftyp" + head, declared)
    is_of_type(b"\xff\xfe" + head, declared)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=HEAD_BYTES * 2))
def test_a_text_that_is_cut_within_a_character_is_still_a_text(text: str) -> None:
    head = ("x" + text).encode()[:HEAD_BYTES]
    assert all(is_of_type(head, declared) for declared in TEXTS)
