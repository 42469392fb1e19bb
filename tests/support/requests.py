"""Any request of a protobuf type: anything that the wire can carry, mixed with what has a meaning."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

MessageT = TypeVar("MessageT", bound=Message)

# The strings of a field.
TextOf = Callable[[Any], st.SearchStrategy[str]]

_INT32, _INT64 = 2**31 - 1, 2**63 - 1
_INTEGERS = {
    FieldDescriptor.TYPE_INT32: st.one_of(st.integers(-3, 12), st.integers(-_INT32 - 1, _INT32)),
    FieldDescriptor.TYPE_INT64: st.one_of(st.integers(-3, 12), st.integers(-_INT64 - 1, _INT64)),
    FieldDescriptor.TYPE_ENUM: st.one_of(st.integers(0, 4), st.integers(-_INT32 - 1, _INT32)),
}


# What databases and parsers choke on.
NASTY = ("a\x00b", "\x00", "x" * 20_000, "\ufeff", "'; --", "%s", "\U0010ffff", "\u202e", "")


def any_request(kind: type[MessageT], known: Mapping[str, Sequence[str]]) -> st.SearchStrategy[MessageT]:
    """Messages of the type. `known`: by field name, values that have a meaning; most strings of such fields are these,
    so that requests also come past the first check."""
    anything = st.one_of(st.sampled_from(NASTY), st.text(max_size=300))
    texts = {
        name: st.one_of(st.sampled_from(values), st.sampled_from(values), st.sampled_from(values), anything)
        for name, values in known.items()
    }

    @st.composite
    def build(draw: st.DrawFn) -> MessageT:
        message = kind()
        _fill(draw, message, lambda field: texts.get(field.name, anything), depth=3)
        return message

    return build()


def _fill(draw: st.DrawFn, message: Message, text: TextOf, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if draw(st.integers(0, 4)) == 0:
            continue
        target: Any = message
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth == 0:
                continue
            if field.is_repeated:
                for _ in range(draw(st.integers(0, 3))):
                    _fill(draw, getattr(target, field.name).add(), text, depth - 1)
            else:
                part = getattr(target, field.name)
                part.SetInParent()
                _fill(draw, part, text, depth - 1)
        elif field.is_repeated:
            getattr(target, field.name).extend(draw(st.lists(_value(field, text), max_size=4)))
        else:
            setattr(target, field.name, draw(_value(field, text)))


def _value(field: Any, text: TextOf) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptor.TYPE_STRING:
        return text(field)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=300)
    return _INTEGERS[field.type]
