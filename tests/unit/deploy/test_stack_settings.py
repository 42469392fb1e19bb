"""What a stack is told of mutual TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.certificates import Authority
from deploy.embedded.errors import SettingsError
from deploy.embedded.settings import StackSettings

FOLDER = Path("nowhere")


def test_processes_speak_in_clear_text_unless_mutual_tls_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARLEY_TLS", raising=False)
    assert StackSettings(FOLDER, FOLDER).tls == "off"
    monkeypatch.setenv("PARLEY_TLS", "mutual")
    assert StackSettings(FOLDER, FOLDER).tls == "mutual"


@pytest.mark.parametrize("word", ["true", "on", "Mutual", "1"])
def test_another_word_is_refused_and_means_no_clear_text(word: str) -> None:
    with pytest.raises(SettingsError, match="off or mutual"):
        StackSettings(FOLDER, FOLDER, tls=word)


def test_a_key_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    tls = Authority(tmp_path / "tls").issue_to("messaging")
    assert Path(tls.key_file).stat().st_mode & 0o777 == 0o600
    assert Path(tls.key_file).parent.stat().st_mode & 0o777 == 0o700
