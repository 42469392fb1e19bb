"""YAML as everything here reads it: plain values only, by libyaml, which takes a tenth of the time.

The rendered manifests have twenty thousand lines, and the checks read them again and again.
"""

from __future__ import annotations

from typing import Any

import yaml

# In C where libyaml is; what it reads is the same.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> Any:
    """The one document of a text. Raises yaml.YAMLError, also where there are several."""
    return yaml.load(text, _LOADER)  # noqa: S506 - the safe one


def read_yamls(text: str) -> list[Any]:
    """All documents of a text but the empty ones. Raises yaml.YAMLError."""
    return [document for document in yaml.load_all(text, _LOADER) if document]
