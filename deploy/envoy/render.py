"""Renders the edge's configuration.

In Kubernetes an init container of Parley's own image runs `python -m deploy.envoy.render FOLDER` into a volume that it
shares with Envoy, with the PARLEY_EDGE_* values from a ConfigMap. The embedded stack calls `write` itself.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import Template

from deploy.envoy.values import EdgeValues, ValuesError, from_env, template_values

_CERTIFICATE_SOURCE = "certificate.yaml"
TEMPLATE = Path(__file__).with_name("envoy.yaml.tmpl")
_EACH = re.compile(r"#each (?P<variable>[A-Z]+) in (?P<items>.+)")


def write(values: EdgeValues, folder: Path) -> Path:
    """Writes the configuration into the folder, where Envoy finds it by the same path. Returns the file for `envoy -c`.

    Raises ValuesError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "envoy.yaml"
    config.write_text(render(values, folder))
    if values.tls_certificate_file:
        (folder / _CERTIFICATE_SOURCE).write_text(render_certificate_source(values))
    return config


def render(values: EdgeValues, folder: Path) -> str:
    """The configuration with these values, for this folder. Raises ValuesError."""
    texts = {**template_values(values), "CERTIFICATE_SOURCE": str(folder.absolute() / _CERTIFICATE_SOURCE)}
    lines = _chosen(_repeated(iter(TEMPLATE.read_text().splitlines())), texts)
    # Comments may speak of ${NAME} without meaning it.
    kept = (line for line in lines if not line.lstrip().startswith("#"))
    return Template("\n".join(kept) + "\n").substitute(texts)


def render_certificate_source(values: EdgeValues) -> str:
    """Where the certificate is, as Envoy's secret discovery takes it: of secrets that come so, it follows the files.

    https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/security/secret
    """
    certificate = {
        "certificate_chain": {"filename": values.tls_certificate_file},
        "private_key": {"filename": values.tls_key_file},
        # A Secret's files are links through one name here, which is moved when they change.
        "watched_directory": {"path": str(Path(values.tls_certificate_file).parent)},
    }
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    # JSON is YAML too.
    return json.dumps({"resources": [{"@type": kind, "name": "edge", "tls_certificate": certificate}]}, indent=2) + "\n"


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
    """Writes the configuration for the values of the environment."""
    parser = argparse.ArgumentParser(prog="python -m deploy.envoy.render")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        write(from_env(os.environ), folder)
    except ValuesError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
