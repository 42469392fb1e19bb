"""The list of files that nobody may send: its lines, and its file."""

import hashlib
from pathlib import Path

import pytest

from services.messaging.attachments.core.hash_lists import read_hashes
from services.messaging.attachments.wiring import file_hashes
from services.messaging.config import Config
from services.runtime.env import ConfigError
from tests.support.environments import MESSAGING


def test_a_list_has_a_digest_a_line_and_remarks() -> None:
    one, two = hashlib.sha256(b"1"), hashlib.sha256(b"2")
    text = f"# known\n\n{one.hexdigest()}\r\n  {two.hexdigest().upper()}  a.jpg\n{one.hexdigest()} # again"
    assert read_hashes(text.encode()) == {one.digest(), two.digest()}
    assert read_hashes(b"") == frozenset()


@pytest.mark.parametrize("line", [b"abc", b"00" * 31, b"00" * 33, b"zz" * 32, "ä".encode(), b"\xff" * 64])
def test_a_line_that_is_no_digest_makes_the_list_faulty(line: bytes) -> None:
    with pytest.raises(ValueError, match="line 2"):
        read_hashes(b"# one\n" + line + b"\n")


def test_a_list_of_hashes_is_read_again_when_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "hashes.txt"
    path.write_text("# none\n")
    hashes = file_hashes(Config.from_env({**MESSAGING, "PARLEY_SCANNER_HASHES_FILE": str(path)}))
    assert hashes is not None
    assert hashes() == frozenset()
    path.write_text("00" * 32)
    assert hashes() == {bytes(32)}
    # A faulty one is said, and the one before goes on to serve.
    path.write_text("no digest")
    assert hashes() == {bytes(32)}


def test_a_list_of_hashes_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    config = Config.from_env({**MESSAGING, "PARLEY_SCANNER_HASHES_FILE": str(tmp_path / "none")})
    with pytest.raises(ConfigError):
        file_hashes(config)
