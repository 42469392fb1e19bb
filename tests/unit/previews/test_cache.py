"""How long what was found is kept."""

from services.previews.core.cache import FOUND_S, MISSED_S, Cache, Found
from services.previews.core.model import Preview

PAGE, NOTHING = Found(Preview("T")), Found(None)


def test_what_was_found_is_kept_for_some_minutes() -> None:
    cache = Cache()
    cache.put("a", PAGE, 100.0)
    assert cache.get("a", 100.0 + FOUND_S - 1) == PAGE
    assert cache.get("a", 100.0 + FOUND_S) is None
    assert len(cache) == 0


def test_that_there_is_none_is_kept_for_less() -> None:
    cache = Cache()
    cache.put("a", NOTHING, 100.0)
    assert cache.get("a", 100.0 + MISSED_S - 1) == NOTHING
    assert cache.get("a", 100.0 + MISSED_S) is None


def test_what_was_not_asked_for_lately_goes_first() -> None:
    cache = Cache(max_entries=2)
    cache.put("a", PAGE, 0.0)
    cache.put("b", PAGE, 0.0)
    cache.get("a", 1.0)
    cache.put("c", NOTHING, 1.0)
    assert [cache.get(url, 2.0) for url in "abc"] == [PAGE, None, NOTHING]
