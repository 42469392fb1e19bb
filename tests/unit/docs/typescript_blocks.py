"""The TypeScript of the documentation, checked against the built libraries in one run of the compiler."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.docs.blocks import Block
from deploy.embedded.record import ROOT

# What the texts around the blocks speak of: declared where a block uses one and does not declare it itself.
AROUND = {
    "client": "import('@parley/client').ParleyClient",
    "draw": "(client: import('@parley/client').ParleyClient) => void",
    "me": "string",
    "jwt": "string",
    "expiresMs": "number",
    "id": "string",
    "text": "string",
    "people": "import('@parley/client').Person[]",
    "name": "string",
    "contentType": "string",
    "body": "Blob",
}
_DECLARED = re.compile(r"\b(?:const|let|function|class) +(?:\{([^}]*)\}|\[([^\]]*)\]|(\w+))")
_IMPORT = re.compile(r"^import .*;$", re.MULTILINE)
_COMPLAINT = re.compile(r"^block(\d+)\.(?:tsx?|js)\((\d+),\d+\): (error .*)$", re.MULTILINE)
_OPTIONS = {
    "target": "ES2022",
    "lib": ["ES2023", "DOM", "DOM.Iterable"],
    "module": "ESNext",
    "moduleResolution": "bundler",
    "jsx": "react-jsx",
    "strict": True,
    "skipLibCheck": True,
    "noEmit": True,
    "types": [],
    # Of plain JavaScript only the syntax is checked.
    "allowJs": True,
    "checkJs": False,
}


# The packages and their public faces.
FACES = {"@parley/client": "clients/web/src/index.ts", "@parley/react": "clients/react/src/index.ts"}


def exported(face: str) -> set[str]:
    """The values that a library exports, by its public face."""
    text = (ROOT / face).read_text()
    lists = re.findall(r"^export \{([^}]*)\}", text, re.MULTILINE)
    names = {name.strip() for found in lists for name in found.split(",")}
    return {name for name in names if name and not name.startswith("type ")}


def module_of(block: Block) -> tuple[str, int]:
    """A block as a module, and how many of its lines stand before the block's own."""
    imports = _IMPORT.findall(block.text)
    own = {
        re.split("[:=]", name)[0].strip()
        for found in _DECLARED.findall(block.text)
        for name in "".join(found).split(",")
    }
    used = set(re.findall(r"(?<![.\w])[A-Za-z_]\w*", block.text))
    # Not what modules are called.
    named = set(re.findall(r"\w+", re.sub(r'"[^"]*"', "", " ".join(imports))))
    head = [f"declare const {name}: {kind};" for name, kind in AROUND.items() if name in used - own - named]
    for package, face in FACES.items():
        # Of the kit only where JSX is written: the words of its components are those of ordinary texts.
        if package == "@parley/client" or block.language == "tsx":
            from_library = sorted(exported(face) & used - own - named)
            if from_library:
                head.append(f'import {{ {", ".join(from_library)} }} from "{package}";')
    return "\n".join([*head, block.text, "export {};", ""]), len(head)


def complaints_of_tsc(blocks: Sequence[Block]) -> list[str]:
    """What the compiler says, by the place on the page."""
    # Within the repository, so that the compiler finds the library as a reader's project does.
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="docs-", dir=ROOT / "build") as name:
        folder, heads = Path(name), list[int]()
        for number, block in enumerate(blocks):
            text, head = module_of(block) if block.language in ("ts", "tsx") else (block.text, 0)
            heads.append(head)
            (folder / f"block{number}.{block.language}").write_text(text)
        config = {"compilerOptions": _OPTIONS, "include": ["block*"]}
        (folder / "tsconfig.json").write_text(json.dumps(config))
        path = f"{ROOT / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ("tsc", "--project", ".", "--pretty", "false"),
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
    found = [
        f"{blocks[int(number)].source}:{blocks[int(number)].line + int(line) - heads[int(number)]} {said}"
        for number, line, said in _COMPLAINT.findall(done.stdout)
    ]
    return found or ([done.stdout + done.stderr] if done.returncode else [])
