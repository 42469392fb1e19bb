"""The page of all environment variables (variables.py)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from deploy.docs.pages import ROOT
from deploy.docs.variables import RUNTIME, Variable, asked_by, edge_variables, summary, variables

SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "previews", "sfu", "web", "ops")

_HEAD = """# Configuration

Every part of Parley reads its configuration from environment variables, once, when it starts. A wrong environment
prints one line for each fault and the process ends with status 2. This page is generated from the sources that read the
variables (`deploy/docs/configuration.py`).

"Raising" and "lowering" (or "higher" and "lower") say what a change of a value costs. A service reads what its own
table has, and what the common tables name it for.
"""


def page() -> str:
    """The page, as Markdown."""
    readers = {service: asked_by(service) for service in SERVICES}
    parts = [_HEAD, "## What several services share\n"]
    runtime = variables(RUNTIME)
    for group in dict.fromkeys(variable.group for variable in runtime):
        parts.append(f"### {group}\n\n{summary(RUNTIME, group)}\n")
        parts.append(_table([variable for variable in runtime if variable.group == group], readers))
    for service in SERVICES:
        own = variables(f"services.{service}.config")
        parts.append(f"## {service}\n")
        parts.append(_table(own, None))
    parts.append("## edge\n\nThe values of Envoy's configuration, which `python -m deploy.envoy.render` writes.\n")
    parts.append(_table(edge_variables(), None))
    return "\n".join(parts)


def _table(rows: list[Variable], readers: Mapping[str, set[str]] | None) -> str:
    head = "| variable | default | value | meaning |" + (" read by |" if readers else "")
    lines = [head, "|---|---|---|---|" + ("---|" if readers else "")]
    for row in rows:
        value = ", ".join(part for part in (row.kind, row.unit, row.bounds) if part)
        cells = [f"`{row.name}`", row.default, value, _cell(row.text)]
        if readers:
            cells.append(", ".join(service for service, names in readers.items() if row.name in names))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"([|<>*])", r"\\\1", text)


def main(arguments: list[str]) -> None:
    """Print the page, or with the name of a service, or `edge`, the table of all that it reads."""
    if not arguments:
        print(page())  # noqa: T201
        return
    services = {path.parent.name for path in (ROOT / "services").glob("*/config.py")} - {"runtime"} | {"edge"}
    if arguments[0] not in services:
        sys.exit(f"There is no service {arguments[0]!r}. There are: {', '.join(sorted(services))}.")
    print(_table(_read_by(arguments[0]), None))  # noqa: T201


def _read_by(service: str) -> list[Variable]:
    if service == "edge":
        return edge_variables()
    names = asked_by(service)
    known = variables(RUNTIME) + variables(f"services.{service}.config")
    return [variable for variable in known if variable.name in names]


if __name__ == "__main__":
    main(sys.argv[1:])
