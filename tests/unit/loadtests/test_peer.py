"""Figures of another server beside ours."""

from __future__ import annotations

import json

import pytest

from loadtests.message_path.peer import PeerError, compare, read

LINES = [
    json.dumps(
        {"phase": "paced50", "deliver_ms": [4.0, 8.0, 10.0, 30.0], "cpu_s_per_1000": {"server": 3, "client": 9}}
    ),
    "",
    json.dumps({"phase": "sat50x8", "per_s": 1000, "cpu_s_per_1000": {"server": 1.5, "pg": 0.5, "client": 9}}),
]


def test_what_a_peers_program_prints_has_the_names_of_our_figures() -> None:
    figures = read(LINES)
    assert figures["send_to_deliver_ms"] == {"p50": 4.0, "p95": 8.0, "p99": 10.0}
    assert figures["throughput"] == 1000
    assert figures["cpu_s_per_1000"] == {"server": 1.5, "pg": 0.5, "client": 9}


def test_a_report_says_how_many_times_as_much_ours_are_without_the_clients() -> None:
    ours = {
        "send_to_deliver_ms": {"p50": 8.0, "p95": 8.0, "p99": 5.0},
        "throughput": 500,
        "paced_cpu_s_per_1000": {"messaging": 2, "broker": 4, "client": 50},
        "cpu_s_per_1000": {"messaging": 5, "client": 50},
    }
    compared = compare("it", [ours], [read(LINES)])
    assert compared["name"] == "it"
    ratios = {"p50": 2.0, "p95": 1.0, "p99": 0.5, "throughput": 0.5, "paced_cpu_s_per_1000": 2.0, "cpu_s_per_1000": 2.5}
    assert compared["ours_to_it"] == ratios


@pytest.mark.parametrize("lines", [[], LINES[:1], ["no JSON"], ['{"phase": "paced50"}', LINES[2]]])
def test_lines_without_figures_are_told(lines: list[str]) -> None:
    with pytest.raises(PeerError, match="no figures"):
        read(lines)
