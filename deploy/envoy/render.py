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

from deploy.envoy import descriptors, openapi, refusals
from deploy.envoy.paths import PATHS
from deploy.envoy.values import EdgeValues, ValuesError, from_env, template_values

# As the services take (services/runtime/grpc/server.py), without their libraries in the image that renders.
MAX_REQUEST_BYTES = 1 << 20
SOURCES = ("certificate.yaml", "upstream-certificate.yaml", "upstream-ca.yaml")
# What the JSON API is translated by, and what it says of itself.
DESCRIPTORS, OPENAPI = "descriptors.pb", "openapi.json"
TEMPLATE = Path(__file__).with_name("envoy.yaml.tmpl")
_EACH = re.compile(r"#each (?P<variable>[A-Z]+) in (?P<items>.+)")


def write(values: EdgeValues, folder: Path) -> Path:
    """Writes the configuration into the folder, where Envoy finds it by the same path. Returns the file for `envoy -c`.

    Raises ValuesError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "envoy.yaml"
    config.write_text(render(values, folder))
    for name, source in sources(values).items():
        (folder / name).write_text(source)
    (folder / DESCRIPTORS).write_bytes(descriptors.for_envoy())
    (folder / OPENAPI).write_text(json.dumps(openapi.document(descriptors.read())))
    return config


def render(values: EdgeValues, folder: Path) -> str:
    """The configuration with these values, for this folder. Raises ValuesError."""
    paths = {_variable(name): str(folder.absolute() / name) for name in SOURCES}
    paths |= {"DESCRIPTORS": str(folder.absolute() / DESCRIPTORS), "OPENAPI": str(folder.absolute() / OPENAPI)}
    texts = {
        **template_values(values),
        **paths,
        # JSON is YAML too.
        "JSON_SERVICES": json.dumps(list(PATHS)),
        "REFUSALS": refusals.as_json(),
        "MAX_REQUEST_BYTES": str(MAX_REQUEST_BYTES),
    }
    lines = _chosen(_repeated(iter(TEMPLATE.read_text().splitlines())), texts)
    # Comments may speak of ${NAME} without meaning it.
    kept = (line for line in lines if not line.lstrip().startswith("#"))
    return Template("\n".join(kept) + "\n").substitute(texts)


def sources(values: EdgeValues) -> dict[str, str]:
    """Where the certificates are, by name of a file for Envoy's secret discovery, which follows them.

    https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/security/secret
    """
    found = {}
    if values.tls_certificate_file:
        found["certificate.yaml"] = _certificate("edge", values.tls_certificate_file, values.tls_key_file)
    if values.upstream_certificate_file:
        found["upstream-certificate.yaml"] = _certificate(
            "upstream-certificate", values.upstream_certificate_file, values.upstream_key_file
        )
        ca = {"trusted_ca": {"filename": values.upstream_ca_file}, **_watched(values.upstream_ca_file)}
        found["upstream-ca.yaml"] = _secret("upstream-ca", "validation_context", ca)
    return found


def _variable(source: str) -> str:
    return f"{source.removesuffix('.yaml').upper().replace('-', '_')}_SOURCE"


def _certificate(name: str, certificate: str, key: str) -> str:
    files = {"certificate_chain": {"filename": certificate}, "private_key": {"filename": key}}
    return _secret(name, "tls_certificate", {**files, **_watched(certificate)})


def _watched(file: str) -> dict[str, object]:
    # A Secret's files are links through one name in their folder, which is moved when they change.
    return {"watched_directory": {"path": str(Path(file).parent)}}


def _secret(name: str, kind: str, value: Mapping[str, object]) -> str:
    secret = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": name,
        kind: value,
    }
    # JSON is YAML too.
    return json.dumps({"resources": [secret]}, indent=2) + "\n"


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
            yield from _chosen(body, texts)


def _until_end(lines: Iterator[str]) -> Iterator[str]:
    depth = 0
    for line in lines:
        if line == "#end" and not depth:
            return
        depth += line.startswith(("#if ", "#each ")) - (line == "#end")
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
