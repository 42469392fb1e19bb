"""`make audit`: known vulnerabilities of the locked packages. Fails for one; says what it could not look up, which does
not fail.

Sources: the vulnerabilities that PyPI lists with a release (pip-audit), and the registry of npm. Behind a mirror that
has neither, nothing is seen, and a warning says so. It never sees: what is in the base images, libraries inside of
wheels (OpenSSL, libsrtp), Envoy itself, vulnerabilities that nobody has reported.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOCKS = ("requirements.lock", "requirements-dev.lock")
TIMEOUT_S = 600


@dataclass
class Seen:
    """What an audit found: `vulnerabilities` are lines, `unseen` the packages or sources that nothing is known of."""

    audited: int = 0
    vulnerabilities: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def read_pip(report: Mapping[str, Any]) -> Seen:
    """Of pip-audit's JSON. A package that was skipped is unseen: pip-audit itself calls that a success."""
    seen = Seen()
    for package in report.get("dependencies", []):
        if "skip_reason" in package:
            seen.unseen.append(package["name"])
            continue
        seen.audited += 1
        for found in package.get("vulns", []):
            fixes = ", ".join(found.get("fix_versions", [])) or "none"
            seen.vulnerabilities.append(f"{package['name']} {package['version']}: {found['id']} (fixed in: {fixes})")
    return seen


def read_npm(report: Mapping[str, Any]) -> Seen:
    """Of npm audit's JSON."""
    if "vulnerabilities" not in report:
        return Seen(unseen=["the npm packages"])
    count = report.get("metadata", {}).get("dependencies", {}).get("total", 0)
    known = report["vulnerabilities"].items()
    vulnerabilities = [f"{name}: {found['severity']} ({found.get('range', '')})" for name, found in known]
    return Seen(count, vulnerabilities, [])


def ask(command: Sequence[str]) -> dict[str, Any]:
    """The JSON that a command prints; empty when it prints none, or takes too long."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - ours
        said: dict[str, Any] = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return said


def audit_pip(program: str, lock: str) -> Seen:
    """Of one lock file."""
    flags = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "-f", "json"]
    report = ask([program, "-r", lock, *flags])
    return read_pip(report) if report.get("dependencies") else Seen(unseen=[f"all of {lock}"])


def verdict(all_seen: Mapping[str, Seen]) -> tuple[int, list[str]]:
    """(exit status, lines)."""
    lines = [f"VULNERABLE {where}: {found}" for where, seen in all_seen.items() for found in seen.vulnerabilities]
    for where, seen in all_seen.items():
        lines.append(f"{where}: {seen.audited} packages looked up, {len(seen.vulnerabilities)} vulnerabilities")
        if seen.unseen:
            lines.append(f"WARNING {where}: nothing is known of {len(seen.unseen)}: {', '.join(seen.unseen[:5])}, …")
    return int(any(seen.vulnerabilities for seen in all_seen.values())), lines


def main() -> int:
    """Returns 1 for a known vulnerability."""
    seen = {lock: audit_pip(sys.argv[1], lock) for lock in LOCKS if Path(lock).exists()}
    seen["npm"] = read_npm(ask(["npm", "audit", "--package-lock-only", "--json"]))
    status, lines = verdict(seen)
    sys.stdout.write("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
