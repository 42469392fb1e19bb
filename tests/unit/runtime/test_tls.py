"""The files of mutual TLS: what is taken at the start, and what is taken of files that were replaced."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from deploy.certificates import Authority
from services.runtime.config import CLEAR_TEXT, TlsConfig
from services.runtime.env import ConfigError
from services.runtime.grpc.tls import Peer, TlsFiles, server_credentials, watch

FILES = ("certificate_file", "key_file", "ca_file")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


# What may have become of a file.
DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "half written": _cut,
    "no PEM": lambda path: path.write_bytes(b"\x00\xff certificate"),
}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls(authority: Authority) -> TlsConfig:
    return authority.issue_to("messaging")


def damaged(tls: TlsConfig, file: str, damage: str) -> None:
    DAMAGES[damage](Path(getattr(tls, file)))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_faulty_file_ends_the_start_of_servers_and_of_clients(tls: TlsConfig, file: str, damage: str) -> None:
    damaged(tls, file, damage)
    with pytest.raises(ConfigError, match=r"tls\.crt"):
        server_credentials(tls)
    with pytest.raises(ConfigError, match=r"tls\.crt"):
        Peer.of(tls, "presence")


def test_a_key_of_another_certificate_ends_the_start_and_is_not_quoted(tls: TlsConfig, authority: Authority) -> None:
    other = authority.issue("other").key
    Path(tls.key_file).write_bytes(other.read_bytes())
    with pytest.raises(ConfigError, match="the key is not that of the certificate") as refused:
        watch(tls)
    assert other.read_text().splitlines()[1] not in str(refused.value)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_files_that_became_faulty_leave_the_ones_before_until_they_are_good(
    tls: TlsConfig, authority: Authority, file: str, damage: str
) -> None:
    files = watch(tls)
    before = files.get()
    with capture_logs() as logs:
        damaged(tls, file, damage)
        assert files.get() is before
        assert files.get() is before
        renewed = authority.issue_to("messaging")
        after = files.get()
    assert after == TlsFiles.read([Path(getattr(renewed, name)).read_bytes() for name in FILES])
    assert after != before
    told = [entry["event"] for entry in logs]
    assert told[-1] == "tls_files_read"
    assert "tls_files_faulty" in told or damage == "gone"


def test_files_that_are_replaced_one_by_one_count_when_they_fit_each_other(
    tls: TlsConfig, authority: Authority
) -> None:
    files = watch(tls)
    before, renewed = files.get(), authority.issue("renewed")
    Path(tls.certificate_file).write_bytes(renewed.certificate.read_bytes())
    assert files.get() is before
    Path(tls.key_file).write_bytes(renewed.key.read_bytes())
    assert files.get().key == renewed.key.read_bytes()


def test_without_files_there_is_no_peer_to_check() -> None:
    assert Peer.of(CLEAR_TEXT, "messaging") is None
