"""The page of all environment variables, read from the sources of the services' configurations.

A variable is a call such as `reader.integer("PARLEY_X", 5, low=1, high=9)`. What it means is the comment above that
call, or above the field that it fills.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from deploy.docs.pages import ROOT
from services.runtime.env import ConfigError

_RUNTIME = "services.runtime.config"
# What each service starts with.
SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "sfu", "web", "ops")
_KINDS = {
    "text": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "choice": "word",
    "words": "words, separated by commas",
    "hosts": "hosts, separated by commas",
    "address": "host:port",
    "addresses": "host:port, separated by commas",
    "key": "base64, 32 bytes or more",
    "keys": "base64, 32 bytes or more; several with commas",
    "_origin": "http or https address",
}
_UNITS = {
    "_PER_S": "a second",
    "_PER_DAY": "a day",
    "_PER_MINUTE": "a minute",
    "_MS": "ms",
    "_S": "s",
    "_BYTES": "bytes",
    "_DAYS": "days",
}


@dataclass(frozen=True)
class Variable:
    """One variable: where it is read, of what kind it is, and what it means."""

    name: str
    kind: str
    default: str
    bounds: str
    text: str
    group: str

    @property
    def unit(self) -> str:
        """What a number counts, by the end of its name."""
        return next((unit for end, unit in _UNITS.items() if self.name.endswith(end)), "")


class _Module:
    """One source file: its tree, its comments, and what stands above a line."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = ROOT / (name.replace(".", "/") + ".py")
        self.lines = self.path.read_text().splitlines()
        self.tree = ast.parse("\n".join(self.lines))
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.classes = {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)}
        self.imports = {
            alias.name: node.module or ""
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def above(self, line: int) -> str:
        """The comment that ends right above a line (from 1)."""
        found: list[str] = []
        at = line - 2
        while at >= 0 and self.lines[at].strip().startswith("#"):
            found.insert(0, self.lines[at].strip().removeprefix("#").strip())
            at -= 1
        return " ".join(found)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node


_modules: dict[str, _Module] = {}


def _module(name: str) -> _Module:
    if name not in _modules:
        _modules[name] = _Module(name)
    return _modules[name]


def variables(module_name: str) -> list[Variable]:
    """All variables that a module reads, in the order of its source."""
    module = _module(module_name)
    found: dict[str, Variable] = {}
    for node in ast.walk(module.tree):
        read = _read(node)
        if read and read.name not in found:
            found[read.name] = _described(module, read)
    return sorted(found.values(), key=lambda variable: _line_of(module, variable.name))


@dataclass(frozen=True)
class _Read:
    call: ast.Call
    method: str
    name: str
    arguments: list[ast.expr]


def _read(node: ast.AST) -> _Read | None:
    if not isinstance(node, ast.Call):
        return None
    method = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    arguments = list(node.args)
    if method not in _KINDS or not arguments:
        return None
    if isinstance(node.func, ast.Name):  # a function of the module, which takes the reader first
        arguments = arguments[1:]
    name = arguments[0] if arguments else None
    if not isinstance(name, ast.Constant) or not str(name.value).startswith("PARLEY_"):
        return None
    return _Read(node, method, str(name.value), arguments[1:])


def _line_of(module: _Module, name: str) -> int:
    return next(number for number, line in enumerate(module.lines) if f'"{name}"' in line)


def _described(module: _Module, read: _Read) -> Variable:
    options = {keyword.arg: keyword.value for keyword in read.call.keywords}
    default = read.arguments[0] if read.arguments else options.get("default")
    bounds = ""
    if "low" in options and "high" in options:
        bounds = f"{_shown(module, options['low'])} to {_shown(module, options['high'])}"
    elif read.method == "choice":
        bounds = ", ".join(ast.literal_eval(read.arguments[1]))
    text = module.above(read.call.lineno) or _field_text(module, read.call)
    group = next((node.name for node in module.ancestors(read.call) if isinstance(node, ast.ClassDef)), "")
    return Variable(read.name, _KINDS[read.method], _default(module, read, default), bounds, text, group)


def _default(module: _Module, read: _Read, value: ast.expr | None) -> str:
    if read.method in ("key", "keys") or value is None or (isinstance(value, ast.Constant) and value.value is None):
        return "required"
    return _shown(module, value)


def _shown(module: _Module, value: ast.expr) -> str:
    """A default or a bound, in words."""
    if isinstance(value, ast.BoolOp):
        value = value.values[0]
    if isinstance(value, ast.Name):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == value.id:
                read = next((found for found in map(_read, ast.walk(node.value)) if found), None)
                if read:
                    return f"as `{read.name}`"
    if isinstance(value, ast.Call):
        return f"`{ast.unparse(value)}`"
    found = _value(module, value)
    if isinstance(found, bool):
        return f"`{str(found).lower()}`"
    if isinstance(found, tuple) and found:
        return ", ".join(f"`{part}`" for part in found)
    return "empty" if found in ("", ()) else f"`{found}`"


def _value(module: _Module, value: ast.expr) -> object:
    """What an expression of constants and names of the module comes to."""
    code = compile(ast.Expression(value), str(module.path), "eval")
    return eval(code, vars(importlib.import_module(module.name)))  # noqa: S307 - our own source


def _field_text(module: _Module, call: ast.Call) -> str:
    """The comment above the field that a read fills."""
    inner: ast.AST = call
    for node in module.ancestors(call):
        if isinstance(node, ast.Assign):
            owner = next((found for found in module.ancestors(node) if isinstance(found, ast.ClassDef)), None)
            return _comment_of(module, owner, getattr(node.targets[0], "id", "")) if owner else ""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node is not call:
            owner_module, owner = _class_of(module, node)
            if owner:
                return _comment_of(owner_module, owner, _filled(node, inner, owner))
        inner = node
    return ""


def _class_of(module: _Module, call: ast.Call) -> tuple[_Module, ast.ClassDef | None]:
    name = getattr(call.func, "id", "")
    if name == "cls":
        return module, next((node for node in module.ancestors(call) if isinstance(node, ast.ClassDef)), None)
    if name in module.classes:
        return module, module.classes[name]
    if module.imports.get(name, "").startswith(("services.", "deploy.")):
        other = _module(module.imports[name])
        return other, other.classes.get(name)
    return module, None


def _filled(call: ast.Call, inner: ast.AST, owner: ast.ClassDef) -> str:
    """The field of the class that an argument of its construction fills."""
    if isinstance(inner, ast.keyword):
        return inner.arg or ""
    at = next((number for number, argument in enumerate(call.args) if argument is inner), None)
    return "" if at is None else getattr(_fields(owner)[at].target, "id", "")


def _fields(owner: ast.ClassDef) -> list[ast.AnnAssign]:
    return [node for node in owner.body if isinstance(node, ast.AnnAssign)]


def _comment_of(module: _Module, owner: ast.ClassDef, field: str) -> str:
    """The comment of a field: its own, or that of the field right above it whose name begins with the same word."""
    last, word, text = 0, "", ""
    for node in _fields(owner):
        name = getattr(node.target, "id", "")
        shared = node.lineno == last + 1 and name.split("_")[0] == word
        text = module.above(node.lineno) or (text if shared else "")
        last, word = node.end_lineno or node.lineno, name.split("_")[0]
        if name == field:
            return text
    return ""


class _Asked(Mapping[str, str]):
    """An environment that notes which variables are asked for, and has enough in it that none is left out."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.values_given = {"PARLEY_TURN_URLS": "turn:x:1", "PARLEY_PUSH_WEBHOOK_URL": "https://x"}
        self.values_given["PARLEY_SCANNER_URL"] = "https://x"
        self.values_given["PARLEY_HOOK_URL"] = "https://x"

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self.values_given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_given)

    def __len__(self) -> int:
        return len(self.values_given)


def asked_by(service: str) -> set[str]:
    """The names of all variables that a service reads when it starts."""
    config = importlib.import_module(f"services.{service}.config")
    asked = _Asked()
    needed = (
        (("presence", "gateway", "signaling", "webhooks", "push", "messaging", "kafka"),) if service == "ops" else ()
    )
    # It is asked for everything all the same.
    with suppress(ConfigError):
        config.Config.from_env(asked, *needed)
    return {name for name in asked.names if name.startswith("PARLEY_")}


def edge_variables() -> list[Variable]:
    """The edge's: a field of EdgeValues each."""
    module = _module("deploy.envoy.values")
    owner = module.classes["EdgeValues"]
    found = []
    for node in _fields(owner):
        field = getattr(node.target, "id", "")
        default = _shown(module, node.value) if node.value else "required"
        kind = {"int": "whole number", "bool": "true or false"}.get(ast.unparse(node.annotation), "text")
        text = _comment_of(module, owner, field)
        found.append(Variable(f"PARLEY_EDGE_{field.upper()}", kind, default, "", text, "EdgeValues"))
    return found


_HEAD = """# Configuration

Every part of Parley reads its configuration from environment variables, once, when it starts. A wrong environment
prints one line for each fault and the process ends with status 2. This page is generated from the sources that read the
variables (`deploy/docs/configuration.py`).

"Raising" and "lowering" (or "higher" and "lower") say what a change of a value costs. A service reads what its own
table has, and what the common tables name it for.
"""


def page() -> str:
    """The page, as Markdown."""
    readers = {service: asked_by(service) for service in SERVICES}
    parts = [_HEAD, "## What several services share\n"]
    runtime = variables(_RUNTIME)
    for group in dict.fromkeys(variable.group for variable in runtime):
        parts.append(f"### {group}\n\n{_summary(_RUNTIME, group)}\n")
        parts.append(_table([variable for variable in runtime if variable.group == group], readers))
    for service in SERVICES:
        own = variables(f"services.{service}.config")
        parts.append(f"## {service}\n")
        parts.append(_table(own, None))
    parts.append("## edge\n\nThe values of Envoy's configuration, which `python -m deploy.envoy.render` writes.\n")
    parts.append(_table(edge_variables(), None))
    return "\n".join(parts)


def _summary(module_name: str, group: str) -> str:
    return (ast.get_docstring(_module(module_name).classes[group]) or "").split("\n")[0]


def _table(rows: list[Variable], readers: Mapping[str, set[str]] | None) -> str:
    head = "| variable | default | value | meaning |" + (" read by |" if readers else "")
    lines = [head, "|---|---|---|---|" + ("---|" if readers else "")]
    for row in rows:
        value = ", ".join(part for part in (row.kind, row.unit, row.bounds) if part)
        cells = [f"`{row.name}`", row.default, value, _cell(row.text)]
        if readers:
            cells.append(", ".join(service for service, names in readers.items() if row.name in names))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"([|<>*])", r"\\\1", text)


def main(arguments: list[str]) -> None:
    """Print the page, or with the name of a service, or `edge`, the table of all that it reads."""
    if not arguments:
        print(page())  # noqa: T201
        return
    services = {path.parent.name for path in (ROOT / "services").glob("*/config.py")} - {"runtime"} | {"edge"}
    if arguments[0] not in services:
        sys.exit(f"There is no service {arguments[0]!r}. There are: {', '.join(sorted(services))}.")
    print(_table(_read_by(arguments[0]), None))  # noqa: T201


def _read_by(service: str) -> list[Variable]:
    if service == "edge":
        return edge_variables()
    names = asked_by(service)
    known = variables(_RUNTIME) + variables(f"services.{service}.config")
    return [variable for variable in known if variable.name in names]


if __name__ == "__main__":
    main(sys.argv[1:])
