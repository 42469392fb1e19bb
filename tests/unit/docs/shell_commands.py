"""What the lines of a shell block call, so far as a documentation needs it: commands with their words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=.*", re.DOTALL)
# Words after which a command begins.
_BEFORE_A_COMMAND = {"do", "then", "else", "if", "while", "until", "!", "{", "exec", "sudo", "time"}
# Words that begin or end what is no command.
_AROUND = {"done", "fi", "}", "esac"}
_FUNCTION = re.compile(r"^\s*([A-Za-z_]\w*)\(\) *\{", re.MULTILINE)


def functions(script: str) -> set[str]:
    """The functions that the block defines itself."""
    return set(_FUNCTION.findall(script))


def commands(script: str) -> Iterator[list[str]]:
    """Each command of a block: its name and its words, without assignments and redirections."""
    for line in _logical_lines(_FUNCTION.sub("", script)):
        yield from _of_line(line)


def _logical_lines(script: str) -> Iterator[str]:
    """Lines with what continues them: after a backslash, or within quotes."""
    line = ""
    for part in script.replace("\\\n", " ").splitlines():
        line = f"{line}\n{part}" if line else part
        try:
            list(_tokens(line))
        except ValueError:
            # A quote is open.
            continue
        yield line
        line = ""
    if line:
        raise ValueError(f"a quote that does not end: {line}")


def _tokens(line: str) -> Iterator[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    return iter(lexer)


def _of_line(line: str) -> Iterator[list[str]]:
    words: list[str] = []
    is_target = False
    # In posix mode the lexer takes the quotes away; a quoted mark would look like one of the shell's.
    for token in _tokens(line):
        if set(token) <= set("<>") or token in (">&", "&>"):
            is_target = True
        elif is_target:
            is_target = False
        elif set(token) <= set("();|&"):
            yield from _command(words)
            # What follows a substitution belongs to the command around it.
            words = ["$"] if token.endswith(")") else []
        elif not words and (token in _BEFORE_A_COMMAND or _ASSIGNMENT.fullmatch(token)):
            continue
        else:
            words.append(token)
    yield from _command(words)


def _command(words: list[str]) -> Iterator[list[str]]:
    if words and words[0] == "for":
        return
    if words and words[0] not in _AROUND and words[0] != "$":
        yield words
