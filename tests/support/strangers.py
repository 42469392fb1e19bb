"""The strangers' test, for any service: two requests that differ only in whether what they name is there must be told
the same. The requests are made of the protos' descriptors, so that new RPCs and fields are covered by being there."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.runtime.errors import ErrorTable, find_refusal, status_details
from tests.support.filled_requests import Values, filled_requests

# Fields whose values are the caller's own invention, and so name nothing of anybody.
_OWN_NAMES = "client_"
_NAMING = ("_id", "_ids", "token")
# Findings in a failure.
SHOWN = 10


def request_of(method: MethodDescriptor) -> type[Message]:
    """The type of an RPC's requests."""
    return GetMessageClass(method.input_type)


def named_fields(kind: type[Message]) -> set[str]:
    """The fields, at any depth, that name something which may be somebody else's."""
    return set(_named(kind.DESCRIPTOR))


def _named(descriptor: Any) -> Iterator[str]:
    for part in descriptor.fields:
        if part.type == FieldDescriptor.TYPE_MESSAGE:
            yield from _named(part.message_type)
        elif part.name.endswith(_NAMING) and not part.name.startswith(_OWN_NAMES):
            yield part.name


@dataclass(frozen=True)
class Told:
    """What a caller is told of a request: the message that answers it, or its refusal with all details."""

    text: str
    refused: bool = False


Ask = Callable[[Message], Awaitable[Message]]


async def told(ask: Ask, request: Message, table: ErrorTable, of_the_moment: Iterable[str] = ()) -> Told:
    """All that a caller is told, but for answers' fields that are of the moment. Raises what is no refusal."""
    try:
        answer = await ask(request)
    except Exception as error:
        refusal = find_refusal(table, error)
        if refusal is None:
            raise
        return Told(f"{refusal.code} {status_details(refusal, error)}", refused=True)
    for name in of_the_moment:
        if name in answer.DESCRIPTOR.fields_by_name:
            answer.ClearField(name)
    return Told(str(answer))


@dataclass
class Findings:
    """What a run of questions found. Each must be empty, but `asked`, which has the RPCs and how often."""

    # Questions whose answers differ: they tell whether something is there.
    oracles: list[str] = field(default_factory=list)
    # RPCs whose first question was refused before anybody looked at what it names.
    vain: list[str] = field(default_factory=list)
    # Fields that name something, of which the test does not know what there is.
    unknown: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)

    def assert_none(self) -> None:
        """Nothing is told, and nothing was asked in vain."""
        assert not self.oracles, f"{len(self.oracles)} answers tell: " + "\n".join(self.oracles[:SHOWN])
        assert not self.vain, "refused before anybody looked at what it is about: " + "\n".join(self.vain)
        assert not self.unknown, "there is more to name than the test knows of: " + "\n".join(self.unknown)


@dataclass(frozen=True)
class Questions:
    """How to ask about something that is there, and about the same that is not.

    `not_found`: the reasons that say so. `same`: pairs of what is named in one and in the other, which a caller knows
    because it said so itself.
    """

    there: Values
    nowhere: Values
    not_found: Sequence[str]
    same: Sequence[tuple[str, str]]

    def mask(self, text: str) -> str:
        """The text without what the caller named."""
        for number, pair in enumerate(self.same):
            for name in pair:
                text = text.replace(name, f"<{number}>")
        return text


async def ask_both(
    findings: Findings,
    who: str,
    method: MethodDescriptor,
    questions: Questions,
    ask_as: Callable[[Message], Awaitable[Told]],
) -> None:
    """Ask every filled request of the RPC about both, and note where the answers differ."""
    kind = request_of(method)
    name = f"{method.containing_service.full_name}/{method.name}"
    if missing := named_fields(kind) - set(questions.there):
        findings.unknown.append(f"{name}: {sorted(missing)}")
        return
    pairs = zip(filled_requests(kind, questions.there), filled_requests(kind, questions.nowhere), strict=True)
    for number, (about_it, about_none) in enumerate(pairs):
        one, other = await ask_as(about_it), await ask_as(about_none)
        if questions.mask(one.text) != questions.mask(other.text):
            findings.oracles.append(f"{who} {name} {about_it!r}: {one.text} / {other.text}")
        if number == 0 and one.refused and not any(reason in one.text for reason in questions.not_found):
            findings.vain.append(f"{who} {name}: {one.text}")
        findings.asked[name] = findings.asked.get(name, 0) + 1
