"""One call as a page: what is drawn where, and that nothing of the record is taken for markup."""

from datetime import timedelta
from itertools import pairwise
from xml.etree import ElementTree

from services.ops.mapping import moments_of
from services.ops.timeline import CallState, Leg, Measured, Media, Moment, Silence, timeline
from services.ops.timeline_page import GAP, LABELS, LANE, WIDTH, Span, lanes_of, render
from tests.unit.ops.test_timeline import BEGAN, changed, measured

GOOD, POOR = Leg(1000, 0.0, 40, 4.4), Leg(300, 0.1, 90, 3.1)


def at(second: float) -> object:
    return BEGAN + timedelta(seconds=second)


def state(second: float, name: str, *joined: str, epoch: int = 0) -> CallState:
    return CallState(at(second), name, joined, epoch, "drain" if epoch else "unspecified")  # type: ignore[arg-type]


def media(second: float, reason: str = "", worker: str = "sfu-1") -> Media:
    return Media(at(second), "ann/d", worker, reason)  # type: ignore[arg-type]


def measure(second: float, downlink: Leg = GOOD, *videos: str, frozen: float = 0.0) -> Measured:
    return Measured(at(second), "ann/d", "sfu-1", GOOD, downlink, 1500, frozen, 0.0, videos, ())  # type: ignore[arg-type]


def spans(label: str, *moments: Moment, until: float = 100) -> list[tuple[float, float, str, str]]:
    """Of the first lane with this label: from and to in seconds, kind and text."""
    lane = next(lane for lane in lanes_of(moments, at(until)) if lane.label == label)  # type: ignore[arg-type]

    def seconds(span: Span) -> tuple[float, float]:
        return (span.begin - BEGAN).total_seconds(), (span.end - BEGAN).total_seconds()

    return [(*seconds(span), span.kind, span.text) for span in lane.spans]


def parsed(page: str) -> ElementTree.Element:
    """Well-formed, which it is only where all is escaped."""
    return ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def test_the_calls_lane_goes_from_state_to_state() -> None:
    found = spans(
        "call",
        state(0, "ringing", "ann/d"),
        state(5, "active", "ann/d", "bob/d"),
        state(6, "active", "ann/d", "bob/d"),
        state(50, "active", "ann/d", "bob/d", epoch=1),
        state(90, "ended hung up"),
    )
    assert found == [
        (0, 5, "ring", "ringing"),
        (5, 50, "on", "active"),
        (50, 90, "on", "active"),
        (90, 100, "off", "ended hung up"),
    ]


def test_a_devices_media_is_on_its_workers_with_its_silences_over_that() -> None:
    found = spans(
        "media",
        media(1),
        Silence(at(20), "ann/d", "sfu-1", at(13)),  # type: ignore[arg-type]
        media(22),
        media(50, worker="sfu-2"),
        media(51, "removed"),
    )
    assert found == [(1, 51, "on", "sfu-1"), (50, 100, "on", "sfu-2"), (13, 22, "wait", "silent")]


def test_what_is_silent_at_the_end_stays_so_and_what_never_came_up_is_a_mark() -> None:
    silence = Silence(at(90), "ann/d", "sfu-1", at(83))  # type: ignore[arg-type]
    assert spans("media", media(1), silence) == [(1, 100, "on", "sfu-1"), (83, 100, "wait", "silent")]
    assert spans("media", media(15, "never connected")) == [(15, 15, "on", "sfu-1")]


def test_each_interval_shows_its_loss_what_was_seen_and_what_was_noticed() -> None:
    told = (
        measure(5, GOOD, "bob q 180"),
        measure(10, GOOD, "bob q 180"),
        measure(15, POOR, "bob f 720", frozen=0.3),
        measure(20, GOOD),
    )
    assert [kind for *_, kind, _ in spans("loss, down", *told)] == ["off", "off", "bad", "off"]
    assert spans("sees", *told) == [(0, 10, "on", "bob q 180"), (10, 15, "on", "bob f 720"), (15, 20, "off", "nobody")]
    assert spans("noticed", *told) == [(10, 15, "bad", "")]


def test_bars_stand_where_their_time_is_and_within_the_picture() -> None:
    page = parsed(render("c", [state(0, "ringing"), state(50, "active"), state(100, "ended hung up"), measure(20)]))
    bars = [(float(bar.get("x") or 0), float(bar.get("width") or 0)) for bar in page.iter("rect")]
    room = WIDTH - LABELS - GAP
    assert bars[:2] == [(LABELS, room / 2), (LABELS + room / 2, room / 2)]
    assert all(begin >= LABELS and begin + width <= WIDTH for begin, width in bars)
    tops = [float(text.get("y") or 0) for text in page.iter("text") if text.get("class") in ("lane", "device")]
    assert {second - first for first, second in pairwise(tops)} == {LANE + GAP}


def test_the_table_has_the_lines_of_the_text_with_what_users_noticed_pointed_at() -> None:
    moments = [state(0, "active", "ann/d"), measure(5), measure(10), measure(15, POOR)]
    rows = list(parsed(render("c", moments)).iter("tr"))[1:]
    assert ["".join(row.itertext())[12:] for row in rows] == [
        "".join(line.split("  ", 2)[1:]) for line in timeline(moments)
    ]
    assert [row.get("class") for row in rows] == [None, None, "fault"]
    assert len(list(parsed(render("c", moments, every=True)).iter("tr"))) == 5


def test_nothing_that_people_name_is_markup_and_nothing_is_fetched() -> None:
    name = "<script>alert('x')</script>&\"]]>"
    records = [changed(0, 2, name), measured(5, name), measured(10, name, worker_id=name)]
    page = render("<b>c", moments_of("c", records))
    found = parsed(page)
    assert not list(found.iter("script"))
    assert any(name in text for text in found.itertext())
    assert not any(attribute in ("href", "src") for element in found.iter() for attribute in element.attrib)
    assert "default-src 'none'" in page
    assert "url(" not in page


def test_a_call_of_one_moment_is_a_page() -> None:
    assert list(parsed(render("c", [state(0, "ended missed")])).iter("rect"))
