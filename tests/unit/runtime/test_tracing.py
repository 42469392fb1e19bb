from collections.abc import Iterator

import pytest

from services.runtime.observability import tracing
from tests.support.spans import Kept, kept_spans

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_is_continued_with_a_span_of_our_own() -> None:
    context = tracing.enter(GOOD)
    assert context.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert context.span_id != "00f067aa0ba902b7"
    assert tracing.current_header() == context.header()


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        GOOD.upper(),
        "ff" + GOOD[2:],
        GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GOOD.replace("00f067aa0ba902b7", "0" * 16),
    ],
)
def test_a_malformed_header_begins_a_new_trace(header: str | None) -> None:
    assert tracing.parse(header) is None
    assert tracing.parse(tracing.enter(header).header()) is not None


def test_a_later_version_with_more_fields_is_read() -> None:
    assert tracing.parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more") is not None


@pytest.fixture
def kept() -> Iterator[Kept]:
    with kept_spans() as recorder:
        yield recorder


def header(trace_id: str, flags: str = "01") -> str:
    return f"00-{trace_id}-00f067aa0ba902b7-{flags}"


def test_a_block_is_a_span_of_the_callers_trace_and_what_was_current_is_so_again(kept: Kept) -> None:
    outer = tracing.enter(GOOD)
    with tracing.span("inner", outer.header()) as span:
        assert tracing.current_header() == span.context.header()
    assert tracing.current_header() == outer.header()
    assert [(one.name, one.parent_id, one.context.trace_id) for one in kept.spans] == [
        ("inner", outer.span_id, outer.trace_id)
    ]


def test_a_block_that_raises_is_a_span_that_failed(kept: Kept) -> None:
    with pytest.raises(KeyError), tracing.span("fails", GOOD):
        raise KeyError
    assert [one.failure for one in kept.spans] == ["KeyError"]


def test_a_trace_that_nobody_wants_leaves_no_spans_and_no_exemplars(kept: Kept) -> None:
    with tracing.span("unsampled", header("a" * 32, "00")):
        assert tracing.exemplar() is None
        assert tracing.begin("child", tracing.Kind.PRODUCER, tracing.current_header()) is None
    assert kept.spans == []


def test_only_the_header_of_a_trace_that_is_kept_is_passed_on_by_hand(kept: Kept) -> None:
    assert tracing.kept(header("a" * 32, "01")) == header("a" * 32, "01")
    assert [tracing.kept(one) for one in (header("a" * 32, "00"), "nonsense", None)] == ["", "", ""]


def test_whoever_has_no_say_keeps_the_ids_but_not_the_decision(kept: Kept) -> None:
    assert tracing.resampled(header("a" * 32, "00")) == header("a" * 32, "01")
    assert tracing.resampled(header("1" * 32, "01")) == header("1" * 32, "00")
    assert tracing.resampled("nonsense") == "nonsense"


def test_without_a_recorder_ids_travel_and_nothing_is_kept() -> None:
    assert tracing.begin("child", tracing.Kind.CONSUMER, GOOD) is None
    assert tracing.kept(GOOD) == ""
    with tracing.span("off", GOOD):
        assert tracing.exemplar() is None
        assert (tracing.current_header() or "").startswith(GOOD[:36])
