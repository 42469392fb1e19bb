"""The pictures of dashboards: what Prometheus answered stands in them, also when that is nothing."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from deploy.observability.queries import Panel, Target
from loadtests.observing.pictures import Drawn, Line, dashboard, legend, quantity

PANEL = Panel("parley-calls", "Calls & <moves>", "s", (Target("up", ""),))


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_panel_shows_its_title_its_lines_names_and_its_scale() -> None:
    drawn = Drawn(PANEL, (Line("p99", ((0.0, 0.0), (10.0, 2.0))),))
    found = texts(dashboard("Calls", [drawn], 0, 10))
    assert {"Calls", "Calls & <moves>", "p99", "2 s", "0 s"} <= set(found)


def test_a_panel_without_data_says_why() -> None:
    assert "No data: no call moves" in texts(dashboard("Calls", [Drawn(PANEL, (), "no call moves")], 0, 10))


def test_lines_that_never_change_are_drawn() -> None:
    for value in (0.0, -1.0, 3.0):
        ElementTree.fromstring(dashboard("Calls", [Drawn(PANEL, (Line("x", ((0.0, value),)),))], 0, 10))


@pytest.mark.parametrize(
    ("template", "labels", "name"),
    [("{{pod}} p99", {"pod": "sfu-1"}, "sfu-1 p99"), ("", {"__name__": "up", "job": "sfu"}, "job=sfu"), ("", {}, "up")],
)
def test_a_legend_is_what_grafana_would_write(template: str, labels: dict[str, str], name: str) -> None:
    assert legend(template, labels, "up") == name


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.25, "percentunit", "25 %"), (0.012, "s", "12 ms"), (3400.0, "short", "3.4 k"), (2.5e6, "Bps", "2.5 MB/s")],
)
def test_quantities_have_the_panels_unit(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text
