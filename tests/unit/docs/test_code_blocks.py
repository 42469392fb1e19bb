"""Every block of code in the documentation is of a known language, and holds what its language can be checked for."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from grpc_tools import protoc

from deploy.docs.blocks import Block, blocks, every_block
from deploy.documents import read_yaml
from deploy.embedded.record import ROOT
from tests.unit.docs.shell_commands import commands, functions
from tests.unit.docs.typescript_blocks import complaints_of_tsc

EVERY = every_block()
CHECKED = ("sh", "python", "ts", "tsx", "js", "json", "yaml", "proto")
# `html`: tests/e2e/test_stranger.py and test_react.py open the pages. `text`: drawings, and what programs print.
OTHERS = ("html", "text")
# What a reader's machine has, or installs where the page says so.
PROGRAMS = {
    *(
        "base64",
        "bash",
        "cat",
        "cd",
        "curl",
        "date",
        "echo",
        "export",
        "grep",
        "ls",
        "mkdir",
        "printf",
        "rm",
        "sed",
        "seq",
        "tr",
    ),
    *("docker", "helm", "jq", "kubectl", "make", "npm", "npx", "pip", "python", "python3.11"),
}
# Folders of the repository: a path that begins with one of them must be there.
OURS = re.compile(r"(?:\./)?((?:tests|services|deploy|loadtests|clients|docs|protos|\.ci)/[\w./-]+)")
# Written by what the page says before.
_MADE = re.compile(r"(?:\./)?clients/(?:web|react)/dist")


def of(*languages: str) -> list[pytest.param]:
    found = [block for block in EVERY if block.language in languages and not block.unchecked]
    assert found
    return [pytest.param(block, id=block.place) for block in found]


# The blocks themselves.


def test_a_block_has_its_place_its_language_and_its_reason() -> None:
    text = "a\n\n1. b\n\n    ```sh\n    make run\n\n    ls\n    ```\n\n```sh unchecked: asks for a cluster\n```\n"
    first, second = blocks(text, "docs/x.md")
    assert first == Block("docs/x.md", 5, "sh", "", "make run\n\nls\n")
    assert (second.place, second.unchecked) == ("docs/x.md:11", "asks for a cluster")


def test_a_fence_within_a_longer_one_is_text() -> None:
    (block,) = blocks("````text\n```sh\nx\n```\n````\n")
    assert block.text == "```sh\nx\n```\n"


def test_a_block_that_does_not_end_is_told() -> None:
    with pytest.raises(ValueError, match=r"docs/x\.md:1"):
        blocks("```sh\nmake run\n", "docs/x.md")


def test_every_block_says_its_language() -> None:
    assert [block.place for block in EVERY if block.language not in (*CHECKED, *OTHERS)] == []


def test_what_nobody_checks_says_why() -> None:
    unchecked = [block for block in EVERY if block.unchecked]
    assert all(len(block.unchecked.split()) >= 3 for block in unchecked)
    assert all(block.language in CHECKED for block in unchecked)


# Shell.


def make_targets() -> set[str]:
    """What `make` has."""
    text = (ROOT / "Makefile").read_text()
    found = {name for names in re.findall(r"^([a-z0-9][a-z0-9 -]*):", text, re.MULTILINE) for name in names.split()}
    return found | {name for names in re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE) for name in names.split()}


def npm_scripts() -> set[str]:
    """Those of the root and of the workspaces."""
    packages = (ROOT / "package.json", *ROOT.glob("clients/*/package.json"), *ROOT.glob("services/*/package.json"))
    return {name for package in packages for name in json.loads(package.read_text()).get("scripts", {})}


def shell_complaints(script: str) -> list[str]:
    """What a reader who pastes it would stumble over."""
    said = subprocess.run(("bash", "-n"), input=script, capture_output=True, text=True, check=False).stderr
    own = functions(script)
    found = [said.strip()] if said else []
    for words in commands(script):
        name, arguments = words[0], words[1:]
        plain = [word for word in arguments if not word.startswith("-")]
        if "/" not in name and name not in PROGRAMS | own:
            found.append(f"nobody knows the program {name}")
        if name == "make":
            found += [f"make has no {word}" for word in plain if "=" not in word and word not in make_targets()]
        if name == "npm" and plain[:1] == ["run"] and plain[1] not in npm_scripts():
            found.append(f"npm has no script {plain[1]}")
        if name.rpartition("/")[2].startswith("python") and arguments[:1] == ["-m"] and not is_module(arguments[1]):
            found.append(f"there is no module {arguments[1]}")
        for word in words:
            path = OURS.match(word)
            if path and not _MADE.match(word) and not (ROOT / path[1]).exists():
                found.append(f"there is no {path[1]}")
    return found


def is_module(name: str) -> bool:
    """Whether `python -m` runs it."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("block", of("sh"))
def test_shell_calls_what_is_there(block: Block) -> None:
    assert shell_complaints(block.text) == []


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("make gone", "make has no gone"),
        ("X=1 make run && make gone ARGS=--x", "make has no gone"),
        ("python -m deploy.gone", "there is no module deploy.gone"),
        ("python -m gone.at.all", "there is no module gone.at.all"),
        ("npm run gone", "npm has no script gone"),
        ("ls | gone > make", "nobody knows the program gone"),
        ("python -m pytest \\\n  tests/gone.py", "there is no tests/gone.py"),
        ("for x in a; do\n  gone $x\ndone", "nobody knows the program gone"),
        ("echo 'make gone' 'two\nlines'", ""),
        ("mine() { ls; }\nmine x", ""),
        ("echo x # make gone", ""),
        ("X=$(echo a)b 'c'\necho -d 'x'$(gone a)'y z'", "nobody knows the program gone"),
    ],
)
def test_what_a_reader_stumbles_over_is_told(script: str, complaint: str) -> None:
    assert shell_complaints(script) == ([complaint] if complaint else [])


def test_what_is_no_shell_is_told() -> None:
    (complaint,) = shell_complaints("if make run; then\n")
    assert "syntax error" in complaint


# Python.


def python_complaints(code: str) -> list[str]:
    """What it imports and is not there. Raises SyntaxError."""
    tree = compile(code, "block", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if find_spec(alias.name) is None]
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name) and not is_module(f"{node.module}.{alias.name}"):
                    found.append(f"{node.module}.{alias.name}")
    return found


@pytest.mark.parametrize("block", of("python"))
def test_python_compiles_and_imports_what_is_there(block: Block) -> None:
    assert python_complaints(block.text) == []


@pytest.mark.parametrize("block", [each for each in of("python") if "import " in each.values[0].text])
def test_python_that_imports_names_nothing_else(block: Block) -> None:
    command = ("ruff", "check", "--isolated", "--select", "F821,F401,F811", "--stdin-filename", "block.py", "-")
    done = subprocess.run(command, input=block.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_name_that_is_not_there_is_told() -> None:
    code = "from parley_client import ParleyClient, Gone\nimport json\nawait x()\n"
    assert python_complaints(code) == ["parley_client.Gone"]
    with pytest.raises(SyntaxError):
        python_complaints("def x(:\n")


# What is written down.


@pytest.mark.parametrize("block", of("json"))
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_is_yaml(block: Block) -> None:
    assert read_yaml(block.text)


@pytest.mark.parametrize("source", sorted({each.values[0].source for each in of("proto")}))
def test_the_protos_of_a_page_are_one_file_that_compiles(source: str, tmp_path: Path) -> None:
    texts = [block.text for block in EVERY if block.language == "proto" and block.source == source]
    rpcs, others = [], []
    for text in texts:
        (rpcs if re.search(r"^\s*rpc ", text, re.MULTILINE) else others).append(text)
    body = f"service Documented {{\n{''.join(rpcs)}}}\n" if rpcs else ""
    (tmp_path / "page.proto").write_text(f'syntax = "proto3";\n{body}{"".join(others)}')
    out = f"--descriptor_set_out={tmp_path / 'page.pb'}"
    assert protoc.main(["protoc", f"-I{tmp_path}", out, str(tmp_path / "page.proto")]) == 0


# TypeScript, all in one run of the compiler.


def test_typescript_fits_the_library() -> None:
    typescript = [each.values[0] for each in of("ts", "tsx", "js")]
    assert complaints_of_tsc(typescript) == []


def test_what_does_not_fit_the_library_is_told_by_its_place() -> None:
    wrong = Block("docs/x.md", 7, "ts", "", "const id = await client.messaging.openDirect(3);\n\nclient.gone();\n")
    complaints = complaints_of_tsc([wrong])
    assert [complaint.partition(" ")[0] for complaint in complaints] == ["docs/x.md:8", "docs/x.md:10"]
