"""Renders the edge's configuration.

In Kubernetes an init container of Parley's own image runs `python -m deploy.envoy.render` into a volume that it shares
with Envoy, with the PARLEY_EDGE_* values from a ConfigMap. The embedded stack calls `render` itself.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import Template

from deploy.envoy.values import EdgeValues, ValuesError, from_env, template_values

TEMPLATE = Path(__file__).with_name("envoy.yaml.tmpl")
_EACH = re.compile(r"#each (?P<variable>[A-Z]+) in (?P<items>.+)")


def render(values: EdgeValues) -> str:
    """The configuration with these values. Raises ValuesError."""
    texts = template_values(values)
    lines = _chosen(_repeated(iter(TEMPLATE.read_text().splitlines())), texts)
    # Comments may speak of ${NAME} without meaning it.
    kept = (line for line in lines if not line.lstrip().startswith("#"))
    return Template("\n".join(kept) + "\n").substitute(texts)


def _repeated(lines: Iterator[str]) -> Iterator[str]:
    """Unrolls `#each NAME in a b` ... `#end`: NAME stands for the item, NAME_X for a value of that item."""
    for line in lines:
        each = _EACH.fullmatch(line)
        if each is None:
            yield line
            continue
        body = list(_until_end(lines))
        for item in each["items"].split():
            for inner in body:
                named = inner.replace(f"${{{each['variable']}}}", item)
                yield named.replace(f"${{{each['variable']}_", f"${{{item.upper()}_")


def _chosen(lines: Iterable[str], texts: Mapping[str, str]) -> Iterator[str]:
    """Keeps what stands between `#if NAME` and `#end` when the value is true."""
    remaining = iter(lines)
    for line in remaining:
        if not line.startswith("#if "):
            yield line
            continue
        body = list(_until_end(remaining))
        if texts[line.removeprefix("#if ")] == "true":
            yield from body


def _until_end(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line == "#end":
            return
        yield line
    raise ValuesError("The template lacks an #end.")


def main() -> int:
    """Writes the configuration for the values of the environment to standard output."""
    try:
        sys.stdout.write(render(from_env(os.environ)))
    except ValuesError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
