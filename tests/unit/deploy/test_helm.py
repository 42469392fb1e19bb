"""The chart is what Kustomize renders: with the defaults exactly, and with a site's values but for what they say.

Helm and Kustomize themselves render both; what needs neither is in test_helm_values.py.
"""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.documents import read_yaml, read_yamls
from deploy.helm import chart
from deploy.helm.__main__ import write
from deploy.helm.places import Text
from deploy.helm.values import SWITCHED, table
from deploy.k8s.check import OLDEST
from deploy.k8s.objects import FOLDER, Object, namespace_of
from tests.support.needs import program

pytestmark = [pytest.mark.kubectl, pytest.mark.helm]
OVERLAY = FOLDER / "overlays" / "production"
Objects = dict[tuple[str, str, str], Object]
Render = Callable[..., Objects]

# Another site: what each placeholder of the manifests becomes, and by which value.
SITE = {
    "site.domain": ("parley.example.com", "chat.site.test"),
    "site.turnDomain": ("turn.parley.example.com", "relay.site.test"),
    "site.runbooks": ("https://runbooks.example.com/parley", "https://wiki.site.test/a%20b"),
    "users.jwksUrl": ("https://login.example.com/.well-known/jwks.json", "https://id.site.test/keys"),
    "users.issuer": ("https://login.example.com/", "https://id.site.test"),
    "operators.jwksUrl": ("https://people.example.com/.well-known/jwks.json", "https://staff.site.test/keys"),
    "operators.issuer": ("https://people.example.com/", "https://staff.site.test/"),
    "sfu.stunServer": ("stun.example.com:3478", "stun.site.test:3479"),
    "turn.peers": ("198.51.100.0-198.51.100.255", "203.0.113.0-203.0.113.15"),
    "postgres.server": ("parley-postgres-rw:5432", "db.site.test:6432"),
}


def load(text: str) -> list[Object]:
    return read_yamls(text)


def by_name(objects: Sequence[Object]) -> Objects:
    """Without what is Helm's alone."""
    made: Objects = {}
    for item in copy.deepcopy(list(objects)):
        annotations = item["metadata"].get("annotations", {})
        for name in [name for name in annotations if name.startswith("helm.sh/")]:
            del annotations[name]
        if not annotations:
            item["metadata"].pop("annotations", None)
        key = (item["kind"], namespace_of(item), item["metadata"]["name"])
        assert key not in made, key
        made[key] = item
    return made


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    """Where two objects differ: of whole renders nobody reads more."""
    if isinstance(left, dict) and isinstance(right, dict):
        lines = [f"{path}: {key} is on one side only" for key in left.keys() ^ right.keys()]
        return lines + [
            line for key in left.keys() & right.keys() for line in differences(left[key], right[key], f"{path}/{key}")
        ]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [
            line
            for index, pair in enumerate(zip(left, right, strict=True))
            for line in differences(*pair, f"{path}/{index}")
        ]
    return [] if left == right and type(left) is type(right) else [f"{path}: {str(left)[:80]!r} {str(right)[:80]!r}"]


def kustomize(folder: Path, *options: str) -> str:
    command = [program("kubectl"), "kustomize", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def production() -> str:
    return kustomize(OVERLAY)


@pytest.fixture(scope="module")
def folder(production: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("helm") / "parley"
    write(folder, chart.files(load(production)))
    return folder


def helm(folder: Path, values: dict[str, Any], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What `helm template` says of a site's values, by their paths."""
    site: dict[str, Any] = {}
    for path, value in values.items():
        *steps, last = path.split(".")
        holder = site
        for step in steps:
            holder = holder.setdefault(step, {})
        holder[last] = value
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump(site))
    # Which cluster is meant: Helm does not ask one here, and one that was built from its module believes in an old one.
    command = [program("helm"), "template", "parley", str(folder), "--kube-version", OLDEST, "--values", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def render(folder: Path, tmp_path: Path) -> Render:
    def rendered(values: dict[str, Any] | None = None) -> Objects:
        done = helm(folder, values or {}, tmp_path)
        assert done.returncode == 0, done.stderr
        return by_name(load(done.stdout))

    return rendered


def test_with_its_defaults_it_is_the_overlay_production(production: str, render: Render) -> None:
    assert differences(render({"namespaces.create": True}), by_name(load(production))) == []


def test_the_values_of_another_site_stand_wherever_the_manifests_have_a_placeholder(
    production: str, render: Render
) -> None:
    new = dict(SITE.values())
    pattern = re.compile("|".join(re.escape(old) for old in sorted(new, key=len, reverse=True)))
    expected = by_name(load(pattern.sub(lambda found: new[found[0]], production)))
    values = {path: value for path, (_, value) in SITE.items()}
    made = render({**values, "namespaces.create": True})
    assert differences(made, expected) == []
    left = {key for key, item in made.items() if "example.com" in yaml.dump(item, Dumper=yaml.CSafeDumper)}
    # What is set by a field of its own: the object store twice, and the registry.
    assert {kind for kind, _, _ in left} == {"ConfigMap", "ObjectStore", "Deployment", "StatefulSet", "Job"}


def test_every_placeholder_of_the_manifests_is_among_these_values(production: str) -> None:
    values = table(load(production))
    texts = {
        value.path
        for value in values
        for place in value.places
        if isinstance(place, Text) and "@" not in place.placeholder
    }
    assert texts == {*SITE, "kafka.bootstrap"}


def test_on_nodes_with_public_addresses_nothing_is_looked_up(render: Render, tmp_path: Path) -> None:
    """As the overlay is without its patch, which says so of itself."""
    overlay = read_yaml((OVERLAY / "kustomization.yaml").read_text())
    for key in ("resources", "patches"):
        for index, entry in enumerate(overlay[key]):
            if isinstance(entry, str):
                overlay[key][index] = _from(tmp_path, entry)
            elif "path" in entry:
                entry["path"] = _from(tmp_path, entry["path"])
    kept = [entry for entry in overlay["patches"] if not entry.get("path", "").endswith("sfu-address.yaml")]
    assert len(kept) == len(overlay["patches"]) - 1
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({**overlay, "patches": kept}))
    expected = by_name(load(kustomize(tmp_path, "--load-restrictor", "LoadRestrictionsNone")))
    made = render({"sfu.stunServer": "", "namespaces.create": True})
    assert differences(made, expected) == []


def _from(folder: Path, entry: str) -> str:
    return str(Path(*[".."] * len(folder.resolve().parts[1:])) / (OVERLAY / entry).resolve().relative_to("/"))


def test_more_workers_have_more_ports_in_the_pod_and_in_the_policies(render: Render) -> None:
    made = render({"sfu.workers": 3})
    (container,) = made["StatefulSet", "parley-media", "sfu"]["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: (port["containerPort"], port.get("hostPort")) for port in container["ports"]}
    assert ports["grpc-2"] == (7003, None)
    assert ports["media-2"] == ports["media-tcp-2"] == (7802, 7802)
    assert len(ports) == 2 + 3 * 3
    assert {"name": "PARLEY_SFU_WORKERS", "value": "3"} in container["env"]
    text = yaml.safe_dump([made["NetworkPolicy", "parley-media", name] for name in ("sfu", "coturn")])
    assert "endPort: 7801" not in text
    assert text.count("endPort: 7802") == 3
    assert "endPort: 7003" in yaml.safe_dump(made["NetworkPolicy", "parley", "signaling"])
    metric = made["HorizontalPodAutoscaler", "parley-media", "sfu"]["spec"]["metrics"][1]
    assert metric["pods"]["target"]["averageValue"] == "330"


def test_sizes_are_those_that_a_site_says(production: str, render: Render) -> None:
    expected = by_name(load(production))
    expected["Deployment", "parley", "web"]["spec"]["replicas"] = 5
    expected["HorizontalPodAutoscaler", "parley", "gateway"]["spec"]["maxReplicas"] = 60
    requests = expected["Deployment", "parley", "messaging"]["spec"]["template"]["spec"]["containers"][0]["resources"]
    requests["requests"]["cpu"] = "750m"
    expected["Cluster", "parley", "parley-postgres"]["spec"]["storage"] = {"size": "1Ti", "storageClass": "fast"}
    expected["ConfigMap", "parley", "parley-settings"]["data"]["PARLEY_OBJECTS_BUCKET"] = "files"
    made = render(
        {
            "namespaces.create": True,
            "replicas.web": 5,
            "autoscaling.gateway.maxReplicas": 60,
            "resources.messaging.requests.cpu": "750m",
            "postgres.storage": {"size": "1Ti", "storageClass": "fast"},
            "objects.bucket": "files",
        }
    )
    assert differences(made, expected) == []


def test_images_come_by_digest_from_the_registry_that_a_site_says(render: Render) -> None:
    digest = "sha256:" + "ab" * 32
    made = render({"images.registry": "images.site.test:5000", "images.sfu.digest": digest})
    spec = made["StatefulSet", "parley-media", "sfu"]["spec"]["template"]["spec"]
    for container in (*spec["containers"], *spec["initContainers"]):
        assert container["image"] == f"images.site.test:5000/parley/sfu@{digest}"
    assert "registry.example.com" not in yaml.dump(list(made.values()), Dumper=yaml.CSafeDumper)


def test_another_broker_is_spoken_to_from_both_namespaces(render: Render) -> None:
    made = render({"kafka.bootstrap": "kafka.site.test:9094", "kafka.managed": False})
    for namespace in ("parley", "parley-media"):
        data = made["ConfigMap", namespace, "parley-settings"]["data"]
        assert data["PARLEY_KAFKA_BOOTSTRAP"] == "kafka.site.test:9094"


@pytest.mark.parametrize("switch", sorted(set(SWITCHED.values())))
def test_a_switch_takes_its_own_objects_away_and_leaves_the_rest(switch: str, render: Render) -> None:
    switched_on, without = render({switch: True}), render({switch: False})
    gone = switched_on.keys() - without.keys()
    kinds = {key for key, path in SWITCHED.items() if path == switch}
    assert gone == {
        (kind, namespace, name)
        for kind, namespace, name in switched_on
        if (kind, name) in kinds or ((kind, "") in kinds and (kind, name) not in SWITCHED)
    }
    assert gone
    assert differences(without, {key: item for key, item in switched_on.items() if key not in gone}) == []


def test_what_holds_data_stays_when_the_release_is_uninstalled(folder: Path, tmp_path: Path) -> None:
    done = helm(folder, {"namespaces.create": True}, tmp_path)
    kept = {
        item["kind"]
        for item in load(done.stdout)
        if item["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    assert kept == {"Namespace", "Kafka", "KafkaNodePool", "KafkaTopic", "Cluster", "Database"}


def test_migrations_run_before_an_upgrade_and_take_the_place_of_the_last_ones(folder: Path, tmp_path: Path) -> None:
    jobs = [item for item in load(helm(folder, {}, tmp_path).stdout) if item["kind"] == "Job"]
    assert jobs
    for job in jobs:
        annotations = job["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-upgrade"
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("site.domian", "chat.site.test"),
        ("site.domain", "https://chat.site.test"),
        ("users.jwksUrl", "http://id.site.test/keys"),
        ("images.sfu.digest", "latest"),
        ("images.sfu.digest", "sha256:" + "0" * 63),
        ("sfu.workers", 0),
        ("sfu.workers", "2"),
        ("sfu.stunServer", "stun.site.test"),
        ("replicas.web", 0),
        ("resources.gateway.requests.memory", "64MiB"),
        ("resources.gateway.limit", {"memory": "1Gi"}),
        ("resources.gateways", {"requests": {"cpu": "1"}}),
        ("postgres.storage.size", "200 Gi"),
        ("postgres.managed", "yes"),
        ("postgres.server", "db.site.test"),
        ("turn.peers", "198.51.100.0/24"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_its_name(
    path: str, value: Any, folder: Path, tmp_path: Path
) -> None:
    done = helm(folder, {path: value}, tmp_path)
    assert done.returncode != 0
    assert path.split(".")[-1] in done.stderr or path.split(".")[-2] in done.stderr


def test_every_value_has_an_effect(folder: Path, production: str) -> None:
    templates = "\n".join(path.read_text() for path in (folder / "templates").rglob("*") if path.is_file())
    values = table(load(production))
    without = [value.path for value in values if not re.search(rf"\.Values\.{re.escape(value.path)}\b", templates)]
    assert without == []


def test_helm_has_nothing_to_say_against_it(folder: Path) -> None:
    done = subprocess.run(
        [program("helm"), "lint", "--strict", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
