"""What the threat model and SECURITY.md name is there: each test, each target, each file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fuzz import corpus

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "threat-model.md"
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
NAMED = sorted(set(re.findall(r"`((?:tests|deploy|services|clients)/[\w./-]+(?:::\w+)?)`", PAGE.read_text())))


def fault_of(named: str) -> str:
    """What is wrong with `path` or `path::test`; empty when it is there."""
    path, _, test = named.partition("::")
    if not (ROOT / path).exists():
        return f"{path} is not there"
    if test and not re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE):
        return f"{path} has no {test}"
    return ""


@pytest.mark.parametrize("named", NAMED)
def test_what_the_threat_model_names_is_there(named: str) -> None:
    assert fault_of(named) == ""


def test_each_attack_has_a_test_of_its_own() -> None:
    at, attacks = 0, 0
    header = ""
    for row in ROWS:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if cells[-1] in ("test", "where it is", "wants"):
            header = cells[-1]
        elif header == "test":
            attacks += 1
            at += bool(re.search(r"`(tests|deploy|services/web/tests|clients/web/tests)/|target `", cells[-1]))
    assert attacks > 20
    assert at == attacks


def test_each_target_that_is_named_is_fuzzed() -> None:
    assert set(re.findall(r"target `(\w+)`", PAGE.read_text())) <= set(corpus.names())


def test_what_is_not_there_is_found() -> None:
    assert fault_of("tests/unit/gone.py") == "tests/unit/gone.py is not there"
    assert "has no" in fault_of("tests/unit/test_threat_model.py::test_gone")


def test_each_attacker_has_a_chapter_that_says_what_is_not_defended() -> None:
    for attacker in ("Stranger", "Member", "Stolen device", "Taken-over worker", "Curious operator"):
        chapter = re.search(rf"^## {attacker}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        assert chapter, attacker
        assert "Not defended:" in chapter[1]
