"""A mounted Secret of Kubernetes, as the kubelet makes it and replaces it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path


class MountedSecret:
    """A folder with names that lead through `..data`, which is replaced at once. `files` are copied, by name."""

    def __init__(self, folder: Path, files: Mapping[str, Path]) -> None:
        self.folder = folder
        self._count = 0
        folder.mkdir()
        self.replace(files)
        for name in files:
            (folder / name).symlink_to(Path("..data") / name)

    def replace(self, files: Mapping[str, Path]) -> None:
        """All files are others from now on; those before are gone."""
        self._count += 1
        data, before = self.folder / "..data", self.folder / f"..{self._count - 1}"
        version = self.folder / f"..{self._count}"
        version.mkdir()
        for name, file in files.items():
            shutil.copy(file, version / name)
        link = self.folder / "..data_tmp"
        link.symlink_to(version.name)
        link.replace(data)
        shutil.rmtree(before, ignore_errors=True)
