"""`python -m deploy.k8s.check [--crds PATH]` (make k8s-check): renders every overlay, and production with each
component, and checks them. Needs kubectl, and no cluster.

1. Kubernetes' own schemas, strictly, of the oldest and the newest version that is supported.
2. The operators' objects by their fields (fields.py), and all objects among each other (semantics.py,
   settings.py, stores.py, tls.py, workers.py).
3. Whether the one node of dev has room for it (capacity.py).
4. With definitions of a cluster (crds.py): what its operators' schemas say.
5. Envoy takes the edge's configuration as rendered from the overlay's values.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import kubernetes_validate
import yaml

from deploy.envoy import validate as edge
from deploy.envoy import values
from deploy.k8s import capacity, crds, fields, semantics, settings, stores, tls, workers
from deploy.k8s.objects import FOLDER, Object, find, parse, title
from deploy.whole_files import write_whole

OLDEST, NEWEST = "1.31", "1.37"
# By name: the overlay, and components that it takes besides.
VARIANTS: dict[str, tuple[str, ...]] = {
    "dev": ("dev",),
    "production": ("production",),
    "production-mutual-tls": ("production", "mutual-tls"),
}
# The variants of one node, and what room it has.
ROOMS = {"dev": capacity.SMALL_NODE}
BUILD = Path("build") / "k8s"
_EDGE_FILES = ("_CERTIFICATE_FILE", "_KEY_FILE", "_CA_FILE")


def render(variant: str) -> list[Object]:
    """The variant's objects; the text is left in build/k8s. Raises CalledProcessError."""
    overlay, *components = VARIANTS[variant]
    command = ["kubectl", "kustomize", str(_with(variant, overlay, components) if components else _overlay(overlay))]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own folder
    write_whole(BUILD / f"{variant}.yaml", text)
    return parse(text)


def _overlay(name: str) -> Path:
    return FOLDER / "overlays" / name


def _with(variant: str, overlay: str, components: Sequence[str]) -> Path:
    """An overlay of the overlay, with the components, as a site would write it."""
    folder = (BUILD / variant).absolute()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(_overlay(overlay).absolute(), folder)],
        "components": [os.path.relpath((FOLDER / "components" / name).absolute(), folder) for name in components],
    }
    write_whole(folder / "kustomization.yaml", yaml.safe_dump(kustomization))
    return folder


def findings(objects: list[Object]) -> Iterator[str]:
    """All that is wrong with the rendered objects."""
    yield from schema_faults(objects)
    yield from fields.misfits(objects)
    rules = (*semantics.RULES, semantics.pinned, *capacity.RULES, *settings.RULES, *stores.RULES, *tls.RULES)
    for rule in (*rules, *workers.RULES):
        yield from rule(objects)


def findings_of(variant: str, objects: list[Object]) -> Iterator[str]:
    """All that is wrong with the rendered objects, and with what this variant is for."""
    yield from findings(objects)
    if "production" in VARIANTS[variant]:
        yield from settings.for_development(objects)
    if variant in ROOMS:
        yield from capacity.on_one_node(objects, ROOMS[variant])


def schema_faults(objects: list[Object]) -> Iterator[str]:
    """What Kubernetes itself would refuse, or not know any more (or yet)."""
    for item in objects:
        if fields.is_custom(item):
            continue
        for version in (OLDEST, NEWEST):
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(str(part) for part in error.path)
                yield f"{title(item)} on Kubernetes {version}: {path}: {error.message}"
            except kubernetes_validate.SchemaNotFoundError as error:
                yield f"{title(item)}: {error.message}"


def edge_is_accepted(variant: str, objects: list[Object]) -> bool:
    """Whether Envoy takes the configuration that the init container would write; says so."""
    config = find(objects, "ConfigMap", "parley", "parley-edge")
    edge.FOLDER.mkdir(parents=True, exist_ok=True)
    certificate, key = edge.FOLDER / "tls.crt", edge.FOLDER / "tls.key"
    edge.write_certificate(certificate, key)
    env = dict(config["data"]) if config else {}
    env.setdefault("PARLEY_EDGE_CA_FILE", str(certificate))
    for name in [name for name, value in env.items() if name.endswith(_EDGE_FILES) and value]:
        env[name] = str((key if name.endswith("_KEY_FILE") else certificate).absolute())
    return edge.accepts(f"k8s-{variant}", values.from_env(env))


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m deploy.k8s.check")
    parser.add_argument("--crds", type=Path, help="a file or folder of CustomResourceDefinitions")
    given = parser.parse_args(arguments).crds
    schemas = crds.load(given) if given else None
    if shutil.which("kubectl") is None:
        sys.stderr.write("There is no kubectl here: one since 1.27 renders the overlays, without a cluster.\n")
        return 1
    status = 0
    for variant in VARIANTS:
        try:
            objects = render(variant)
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{variant}: {error.stderr}\n")
            status = 1
            continue
        found = [*findings_of(variant, objects), *(crds.misfits(objects, schemas) if schemas is not None else ())]
        sys.stderr.writelines(f"{variant}: {line}\n" for line in found)
        sys.stdout.write(
            f"{variant}: {len(objects)} objects, {len(found)} findings (Kubernetes {OLDEST} and {NEWEST})\n"
        )
        if found or not edge_is_accepted(variant, objects):
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
