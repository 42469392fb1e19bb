"""The words of texts and queries: what people take for the same is the same. For search alone; texts stay as sent.

No language is assumed. Words are letters and digits of any script with the marks that follow them.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import regex

from services.messaging.kernel import folding
from services.messaging.kernel.content import has_links, is_spoken
from services.messaging.kernel.emojis import split_emojis, without_tone
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.ids import NOBODY, UserId
from services.messaging.kernel.model import Message

# Of the tokenization by `words_of`: raised with every change of it, so that older rows are indexed again.
INDEX_VERSION = 2
# Words of one text that are indexed. Raising it makes a bigger index; lowering it does not find the end of long texts.
MAX_WORDS = 1_000
MAX_QUERY_CHARS = 200
# Terms of a query. Raising it makes dearer queries; lowering it ignores the end of long ones.
MAX_QUERY_WORDS = 32
# Longer ones are cut, in texts and queries alike.
MAX_WORD_CHARS = 64
# Code points of one character with its marks, where a script writes no spaces. Two such are a word.
MAX_CLUSTER_CHARS = 16

_CLUSTER = rf"[[{folding.UNSPACED}]&&[\p{{L}}\p{{N}}]]\p{{M}}*"
_CLUSTERS = regex.compile(_CLUSTER, regex.V1)
_UNSPACED_RUN = regex.compile(rf"(?:{_CLUSTER})+", regex.V1)
_PART = r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*"
# `folding` leaves one hyphen and one apostrophe of all their kinds.
_COMPOUND = regex.compile(rf"{_PART}(?:[-']{_PART})*")
_JOINERS = regex.compile("[-']")


class Has(Enum):
    """What a message holds beside its words."""

    FILE = "file"
    PICTURE = "picture"
    VIDEO = "video"
    LINK = "link"
    PICTURE_OR_VIDEO = "picture_or_video"
    # A file that is neither; not the sound of a voice message.
    OTHER_FILE = "other_file"
    VOICE = "voice"


# How the media types of files begin.
FILE_TYPES = {Has.FILE: "", Has.PICTURE: "image/", Has.VIDEO: "video/"}
# What can be listed without words; the store has an index for each.
LISTED = frozenset({Has.PICTURE_OR_VIDEO, Has.OTHER_FILE, Has.VOICE, Has.LINK})


@dataclass(frozen=True)
class Filters:
    """What narrows a search down; all of it must be so. `since` belongs to it, `before` does not."""

    sender: UserId = NOBODY
    has: frozenset[Has] = frozenset()
    since: datetime | None = None
    before: datetime | None = None


NO_FILTERS = Filters()


def passes(message: Message, filters: Filters) -> bool:
    """Whether a message is so, as it is shown to who searches."""
    return (
        filters.sender in (NOBODY, message.sender_id)
        and filters.has <= _held_by(message)
        and (filters.since is None or message.sent_at >= filters.since)
        and (filters.before is None or message.sent_at < filters.before)
    )


def _held_by(message: Message) -> set[Has]:
    if message.view_once:
        # Nothing of it is to be looked at again.
        return set()
    types = [file.content_type for file in message.attachments]
    holds = {has for has, begin in FILE_TYPES.items() if any(kind.startswith(begin) for kind in types)}
    if not holds.isdisjoint({Has.PICTURE, Has.VIDEO}):
        holds.add(Has.PICTURE_OR_VIDEO)
    if is_spoken(message.content):
        holds.add(Has.VOICE)
    elif not all(kind.startswith((FILE_TYPES[Has.PICTURE], FILE_TYPES[Has.VIDEO])) for kind in types):
        holds.add(Has.OTHER_FILE)
    if has_links(message.content):
        holds.add(Has.LINK)
    return holds


def listed_kind(filters: Filters) -> Has:
    """What a search without words lists. Raises InvalidField."""
    if len(filters.has) != 1 or not filters.has <= LISTED:
        names = ", ".join(sorted(has.name for has in LISTED))
        raise InvalidField("has", f"must be one of {names} where there is no query")
    return next(iter(filters.has))


@dataclass(frozen=True)
class Compound:
    """What stands between spaces: its parts, and, where a hyphen or an apostrophe parts them, all of it as one."""

    parts: tuple[str, ...]
    joined: str = ""


def words_of(text: str) -> list[str]:
    """The different words of a text, in their order, folded; of a compound its parts and the whole.

    Where a script writes no spaces, each bigram is a word, and the last character is. An emoji is a word, without and
    with its skin tone.
    """
    emojis, rest = split_emojis(text)
    found = [word for compound in _compounds(rest) for word in _words_in(compound)]
    found += [form for emoji in emojis for form in (without_tone(emoji), emoji)]
    return list(dict.fromkeys(found))[:MAX_WORDS]


def query_of(text: str) -> str:
    """A query in PostgreSQL's tsquery form: all words, the last as a prefix. Raises InvalidField.

    A compound is found by its parts or as one word. Words hold letters, digits, marks and emojis only, so that they
    need no more than quotes.
    """
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidField("query", f"has {len(text)} characters; at most {MAX_QUERY_CHARS} are allowed")
    emojis, rest = split_emojis(text)
    compounds = list(_compounds(rest))
    terms = [term for compound in compounds[:-1] for term in _query_terms(compound, is_last=False)]
    terms += [term for compound in compounds[-1:] for term in _query_terms(compound, is_last=True)]
    terms = list(dict.fromkeys([*terms, *(f"'{emoji}'" for emoji in emojis)]))[:MAX_QUERY_WORDS]
    if not terms:
        raise InvalidField("query", "has no words")
    return " & ".join(terms)


def matches(words: Iterable[str], query: str) -> bool:
    """Whether a text of these words matches a query of `query_of`; as PostgreSQL decides it."""
    known = set(words)

    def holds(term: str) -> bool:
        word, _, is_prefix = term.strip("()").strip().removeprefix("'").partition("'")
        return any(one.startswith(word) for one in known) if is_prefix else word in known

    return all(
        any(all(holds(term) for term in way.split(" & ")) for way in terms.strip("()").split(" | "))
        for terms in regex.split(r" & (?![^()]*\))", query)
    )


def _compounds(text: str) -> Iterator[Compound]:
    for match in _COMPOUND.findall(folding.fold(text)):
        pieces = _JOINERS.split(match)
        runs = [run for piece in pieces for run in _runs(piece)]
        is_spaced = not any(map(_is_unspaced, runs))
        if len(pieces) > 1 and is_spaced:
            yield Compound(tuple(run[:MAX_WORD_CHARS] for run in runs), "".join(pieces)[:MAX_WORD_CHARS])
        else:
            yield from (Compound((run,)) for run in runs)


def _runs(word: str) -> Iterator[str]:
    """A word parted where scripts with and without spaces meet."""
    at = 0
    for match in _UNSPACED_RUN.finditer(word):
        if match.start() > at:
            yield word[at : match.start()][:MAX_WORD_CHARS]
        yield match.group()
        at = match.end()
    if at < len(word):
        yield word[at:][:MAX_WORD_CHARS]


def _words_in(compound: Compound) -> Iterator[str]:
    for part in compound.parts:
        if _is_unspaced(part):
            clusters = _clusters(part)
            yield from _bigrams(clusters)
            yield clusters[-1]
        else:
            yield part
    if compound.joined:
        yield compound.joined


def _query_terms(compound: Compound, *, is_last: bool) -> Iterator[str]:
    """Terms of a tsquery, all of which a text must hold."""
    end = ":*" if is_last else ""
    if compound.joined:
        *before, last = (f"'{part}'" for part in compound.parts)
        yield f"({' & '.join([*before, last + end])} | '{compound.joined}'{end})"
        return
    for part in compound.parts:
        if not _is_unspaced(part):
            yield f"'{part}'{end}"
            continue
        bigrams = _bigrams(_clusters(part))
        yield from (f"'{bigram}'" for bigram in bigrams[:-1])
        # A single character is the beginning of a bigram, or a last one: as a prefix it finds both.
        yield f"'{bigrams[-1]}'{end}" if bigrams else f"'{part[:MAX_CLUSTER_CHARS]}':*"


def _clusters(run: str) -> list[str]:
    return [cluster[:MAX_CLUSTER_CHARS] for cluster in _CLUSTERS.findall(run)]


def _bigrams(clusters: list[str]) -> list[str]:
    return [one + other for one, other in itertools.pairwise(clusters)]


def _is_unspaced(run: str) -> bool:
    return _UNSPACED_RUN.match(run) is not None
