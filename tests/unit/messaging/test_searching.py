import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.core.errors import InvalidField
from services.messaging.core.searching import MAX_WORD_CHARS, MAX_WORDS, query_of, words_of


def test_words_come_once_and_in_order() -> None:
    assert words_of("Row, row, ROW your boat") == ["row", "your", "boat"]


@given(st.text(max_size=500))
def test_words_of_words_are_themselves(text: str) -> None:
    words = words_of(text)
    assert all(0 < len(word) <= MAX_WORD_CHARS and "'" not in word and "\\" not in word for word in words)
    assert len(words) == len(set(words)) <= MAX_WORDS


def test_a_query_is_all_words_and_the_last_is_a_beginning() -> None:
    assert query_of("Hello wor") == "'hello' & 'wor':*"


@pytest.mark.parametrize("query", ["", "  ", "!?&|:*()", "x" * 201, "👍"])
def test_a_query_without_words_is_refused(query: str) -> None:
    with pytest.raises(InvalidField):
        query_of(query)


def test_scripts_without_spaces_are_found_by_any_part() -> None:
    assert words_of("東京都に行く") == ["東京", "京都", "都に", "に行", "行く", "く"]
    assert query_of("京都") == "'京都':*"
    assert query_of("行") == "'行':*"
    assert query_of("東京都 hello") == "'東京' & '京都' & 'hello':*"
    assert query_of("行 hello") == "'行':* & 'hello':*"


def test_a_word_of_two_scripts_is_parted_where_they_meet() -> None:
    assert words_of("Android版です") == ["android", "版て", "てす", "す"]
