"""A cluster of this machine: addresses that stand in several files, what programs are told, what is put in place."""

from __future__ import annotations

import base64
import io
import json
import re
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from deploy.cluster import (
    configs,
    definitions,
    dry_run,
    image_archive,
    images,
    network,
    operators,
    outside,
    pki,
    programs,
)
from deploy.cluster.cluster import BROKER_SETTINGS, COREDNS, OVERLAY
from deploy.cluster.kubectl import Result
from deploy.cluster.layout import COREDNS as COREDNS_IMAGE
from deploy.cluster.layout import DNS_IP, EDGE_IP, Layout
from deploy.cluster.processes import Processes
from deploy.documents import read_yaml
from deploy.k8s import secrets
from deploy.k8s.objects import Object, load_base, of_kind, parse, pods
from deploy.k8s.semantics import made_secrets

BASE = load_base()


def layout_in(folder: Path) -> Layout:
    return Layout(folder / ".parley", folder / "programs")


def data_of(item: Object) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in item["data"].items()}


def used_keys(objects: list[Object]) -> Iterator[tuple[tuple[str, str], str]]:
    """(namespace, name) and key of all Secrets, as pods read them."""
    for pod in pods(objects):
        for volume in pod.spec.get("volumes", []):
            for item in volume.get("secret", {}).get("items", []):
                yield (pod.namespace, volume["secret"]["secretName"]), item["key"]
        for container in pod.containers:
            for variable in container.get("env", []):
                if ref := variable.get("valueFrom", {}).get("secretKeyRef"):
                    yield (pod.namespace, ref["name"]), ref["key"]


# ---- What stands in more than one file


def test_fixed_addresses_and_images_are_the_same_everywhere() -> None:
    addons = parse(COREDNS.read_text())
    (service,), (deployment,) = of_kind(addons, "Service"), of_kind(addons, "Deployment")
    assert service["spec"]["clusterIP"] == DNS_IP
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == COREDNS_IMAGE
    assert set(re.findall(r"10\.\d+\.\d+\.\d+", (OVERLAY / "kustomization.yaml").read_text())) == {EDGE_IP}


def test_every_file_that_a_program_is_told_of_is_written(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    layout.pki.mkdir(parents=True)
    pki.write(layout)
    written = {str(layout.run / name) for name in configs.files(layout, "/usr/sbin/runc")}
    written |= {str(path) for path in layout.run.rglob("*") if path.is_file()}
    told = [configs.containerd(layout, "runc"), yaml.safe_dump(configs.kubelet(layout)), str(configs.proxy(layout))]
    for group in (programs.api, programs.controllers, programs.runtime, programs.node, programs.policies):
        told += [word for command in group(layout).values() for word in command]
    names = {name for text in told for name in re.findall(rf"{layout.run}/[\w./-]+\.(?!sock)[a-z]+\b", text)}
    assert len(names) > 15
    assert names <= written


def test_the_kubelet_is_its_own_node_and_the_administrator_a_master(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    layout.pki.mkdir(parents=True)
    pki.write(layout)
    for name, subject in (("kubelet", "O=system:nodes"), ("admin", "O=system:masters")):
        config = read_yaml(layout.kubeconfig(name).read_text())
        pem = base64.b64decode(config["users"][0]["user"]["client-certificate-data"])
        assert subject in x509.load_pem_x509_certificate(pem).subject.rfc4514_string()
    assert layout.kubeconfig().stat().st_mode & 0o077 == 0


def test_an_api_server_alone_has_no_cable_to_this_machine(tmp_path: Path) -> None:
    alone = Layout(tmp_path, tmp_path, "other", cable=False)
    commands = [*network.up(alone), *network.down(alone)]
    assert not any(network.CABLE in command for command in commands)
    assert all(alone.netns in word for command in commands for word in command if "parley-" in word)


# ---- In the operators' place


def test_every_secret_that_the_manifests_need_is_made(tmp_path: Path) -> None:
    made = {
        (item["metadata"]["namespace"], item["metadata"]["name"]): set(item.get("data", item.get("stringData")))
        for item in [*secrets.manifests(), *operators.issue(BASE, tmp_path)]
    }
    for place in made_secrets(BASE):
        assert place in made
    for place, key in used_keys(BASE):
        assert key in made[place], place


def test_the_edge_shows_the_names_of_its_certificate_and_has_another_to_be_renewed_to(tmp_path: Path) -> None:
    made = {item["metadata"]["name"]: item for item in operators.issue(BASE, tmp_path)}
    first = x509.load_pem_x509_certificate(data_of(made["edge-tls"])["tls.crt"].encode())
    renewed = x509.load_pem_x509_certificate((tmp_path / f"{operators.RENEWED}.crt").read_bytes())
    names = [cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value for cert in (first, renewed)]
    assert names[0] == names[1]
    assert first.serial_number != renewed.serial_number
    authority = x509.load_pem_x509_certificate((tmp_path / "edge-ca.pem").read_bytes())
    for cert in (first, renewed):
        cert.verify_directly_issued_by(authority)


def test_the_broker_is_told_all_topics_and_rights_and_the_database_all_roles(tmp_path: Path) -> None:
    ours = secrets.manifests()
    told = {
        item["metadata"]["name"]: data_of(item) for item in operators.setup(BASE, ours, BROKER_SETTINGS.read_text())
    }
    broker, database = told[operators.KAFKA_SETUP], told[operators.POSTGRES_SETUP]
    assert len(broker["topics.txt"].splitlines()) == len(of_kind(BASE, "KafkaTopic"))
    assert all(re.fullmatch(r"\S+ \d+( \S+=\S+)*", line) for line in broker["topics.txt"].splitlines())
    users = {line.split()[0] for line in broker["acls.txt"].splitlines()}
    assert users == {item["metadata"]["name"] for item in of_kind(BASE, "KafkaUser")}
    assert "kafka-push GROUP push PREFIXED READ" in broker["acls.txt"].splitlines()
    roles = [role["name"] for item in of_kind(BASE, "Cluster") for role in item["spec"]["managed"]["roles"]]
    assert sorted(re.findall(r"CREATE ROLE (\w+)", database["setup.sql"])) == sorted(roles)
    owners = {item["spec"]["name"]: item["spec"]["owner"] for item in of_kind(BASE, "Database")}
    assert dict(re.findall(r"CREATE DATABASE (\w+) OWNER (\w+)", database["setup.sql"])) == owners


def test_kinds_without_a_definition_get_one_that_takes_anything(tmp_path: Path) -> None:
    real = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "kafkas.kafka.strimzi.io"},
        "spec": {"group": "kafka.strimzi.io", "names": {"kind": "Kafka"}},
    }
    (tmp_path / "kafka.yaml").write_text(yaml.safe_dump_all([real, None]))
    objects = [*BASE, {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "parley"}}]
    found, made = definitions.needed(objects, definitions.load(tmp_path))
    by_kind = {item["spec"]["names"]["kind"]: item for item in found}
    assert by_kind["Kafka"] == real
    assert "Kafka" not in made
    assert by_kind["ClusterIssuer"]["spec"]["scope"] == "Cluster"
    assert by_kind["KafkaUser"]["metadata"]["name"] == "kafkausers.kafka.strimzi.io"
    assert by_kind["KafkaUser"]["spec"]["scope"] == "Namespaced"
    assert "Deployment" not in by_kind
    assert definitions.load(tmp_path / "nowhere") == []


# ---- Images


def test_images_are_brought_by_the_manifests_names_when_they_changed() -> None:
    listing = "\n".join(
        [
            "sha256:a localhost/parley/messaging:dev",
            "sha256:b localhost/coturn/coturn:4.7.0-r0",
            "sha256:c localhost/parley/base:bookworm",
            "sha256:d localhost/parley/beside:dev",
            "sha256:e docker.io/parley/messaging:dev",
            "sha256:f localhost/other:1",
            "sha256:g <none>:<none>",
        ]
    )
    present = images.wanted(listing)
    assert present == {"parley/messaging:dev": "sha256:a", "coturn/coturn:4.7.0-r0": "sha256:b"}
    assert images.changed(present, {}) == ["coturn/coturn:4.7.0-r0", "parley/messaging:dev"]
    assert images.changed(present, {**present, "parley/messaging:dev": "sha256:old"}) == ["parley/messaging:dev"]
    assert images.changed(present, present) == []


def test_an_image_of_one_program_names_what_it_holds() -> None:
    made = image_archive.archive("localhost/one:1", ["/one"], {"/one": b"program"})
    assert made == image_archive.archive("localhost/one:1", ["/one"], {"/one": b"program"})
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        files: dict[str, bytes] = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == ["localhost/one:1"]
    assert json.loads(files[manifest["Config"]])["config"]["Entrypoint"] == ["/one"]
    with tarfile.open(fileobj=io.BytesIO(files[manifest["Layers"][0]])) as layer:
        assert layer.getmember("one").mode == 0o755
        assert layer.getmember("tmp").mode == 0o1777


# ---- What the server says


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (Result(0, "namespace/a created (server dry run)\n", ""), []),
        (Result(0, "namespace/a created (server dry run)\n", "Warning: would violate PodSecurity\n"), ["Warning"]),
        (Result(1, "", 'Error: unknown field "spec.foo"\n'), ["unknown field", "0 of 1 objects"]),
        (Result(0, "namespace/a created\n", ""), ["0 of 1 objects"]),
    ],
)
def test_a_dry_run_finds_errors_warnings_and_what_nothing_is_said_of(result: Result, found: list[str]) -> None:
    faults = dry_run.faults(result, [{}])
    assert len(faults) == len(found)
    for line, part in zip(faults, found, strict=True):
        assert part in line


def test_namespaces_of_operators_are_there_for_a_dry_run() -> None:
    elsewhere = {"kind": "Certificate", "metadata": {"name": "authority", "namespace": "cert-manager"}}
    assert [*dry_run.missing_namespaces(BASE)] == []
    (made,) = dry_run.missing_namespaces([*BASE, elsewhere])
    assert (made["kind"], made["metadata"]["name"]) == ("Namespace", "cert-manager")


# ---- What is left


def test_what_the_cluster_wrote_elsewhere_goes_and_nothing_else(tmp_path: Path) -> None:
    run, place = tmp_path / "run", tmp_path / "var"
    for folder in ("logs", "cni/results", "empty/inside"):
        (place / folder).mkdir(parents=True)
    (place / "logs" / "ours.log").symlink_to(run / "logs" / "one.log")
    (place / "logs" / "theirs.log").symlink_to(tmp_path / "elsewhere.log")
    for name in ("parley-1f-eth0", "cni-loopback-1f-lo", "cni-loopback-2e-lo", "other-2e-eth0"):
        (place / "cni" / "results" / name).touch()
    with socket.socket(socket.AF_UNIX) as gone, socket.socket(socket.AF_UNIX) as listening:
        gone.bind(str(place / "gone.sock"))
        listening.bind(str(place / "listening.sock"))
        listening.listen()
        gone.close()
        assert len([*outside.found(run, [place])]) == 3
        outside.sweep(run, [place, tmp_path / "nowhere"])
        left = sorted(path.relative_to(place).as_posix() for path in place.rglob("*"))
    theirs = [f"cni/results/{name}" for name in ("cni-loopback-2e-lo", "other-2e-eth0")]
    assert left == ["cni", "cni/results", *theirs, "listening.sock", "logs", "logs/theirs.log"]


# ---- Programs


@pytest.fixture
def processes(tmp_path: Path) -> Any:
    found = Processes(tmp_path / "pids", tmp_path / "logs")
    yield found
    for name in found.names():
        found.stop(name)


def test_a_program_is_started_once_and_stopped(processes: Processes, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('here', flush=True); input()"]
    processes.start("one", ["sleep", "600"])
    noted = (tmp_path / "pids" / "one").read_text()
    processes.start("one", command)
    assert (tmp_path / "pids" / "one").read_text() == noted
    assert processes.names() == ["one"]
    processes.stop("one")
    processes.stop("one")
    assert not processes.runs("one")
    assert processes.names() == []


def test_a_process_that_only_has_the_same_id_is_left_alone(processes: Processes, tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "600"])
    try:
        (tmp_path / "pids").mkdir()
        (tmp_path / "pids" / "one").write_text(f"{other.pid} 1")
        assert not processes.runs("one")
        processes.stop("one")
        assert other.poll() is None
        assert processes.names() == []
    finally:
        other.kill()
        other.wait()
