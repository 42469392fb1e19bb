"""A known vulnerability fails the audit; what could not be looked up is said, and does not."""

from __future__ import annotations

from pathlib import Path

from deploy.supply.audit import Seen, ask, audit_pip, read_npm, read_pip, verdict
from deploy.supply.sbom import LOCKS, locked

ROOT = Path(__file__).resolve().parents[3]
VULNERABILITY = {"id": "PYSEC-1", "fix_versions": ["2.0"]}


def test_a_known_vulnerability_fails() -> None:
    seen = read_pip({"dependencies": [{"name": "a", "version": "1.0", "vulns": [VULNERABILITY]}]})
    status, lines = verdict({"lock": seen})
    assert status == 1
    assert "VULNERABLE lock: a 1.0: PYSEC-1 (fixed in: 2.0)" in lines


def test_a_package_that_was_skipped_is_not_called_good() -> None:
    seen = read_pip(
        {"dependencies": [{"name": "a", "skip_reason": "not found"}, {"name": "b", "version": "1", "vulns": []}]}
    )
    status, lines = verdict({"lock": seen})
    assert (status, seen.audited, seen.unseen) == (0, 1, ["a"])
    assert any(line.startswith("WARNING") for line in lines)


def test_a_source_that_does_not_answer_is_said() -> None:
    assert audit_pip("/nowhere/pip-audit", "requirements.lock").unseen == ["all of requirements.lock"]
    assert read_npm({"error": {"summary": "405"}}).unseen
    assert ask(["false"]) == {}


def test_a_vulnerability_in_a_web_package_fails() -> None:
    seen = read_npm({"vulnerabilities": {"left-pad": {"severity": "high", "range": "<2"}}})
    assert verdict({"npm": seen, "lock": Seen()})[0] == 1


def test_every_lock_has_its_bill() -> None:
    assert {f"{lock}.lock" for lock in LOCKS} | {"requirements-uv.lock"} == {path.name for path in ROOT.glob("*.lock")}
    assert all(locked((ROOT / f"{lock}.lock").read_text()) for lock in LOCKS)
