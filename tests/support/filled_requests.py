"""Requests of a protobuf type with all their fields filled, and each of them once with every value that may matter."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

MessageT = TypeVar("MessageT", bound=Message)

# By the field's name: what a request may say there, the most telling one first.
Values = Mapping[str, Sequence[Any]]

_NUMBERS = (1, 2, 10_000, 0, -1)
_BYTES = (b"\x00\xff", b"", b"\x80" * 20_000)
_UNSIGNED = (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64)
_TEXTS = ("hello", "", "x" * 20_000)


def filled_requests(kind: type[MessageT], values: Values) -> Iterator[MessageT]:
    """First one with everything in it; then, for each field at any depth, one for each other value of it and one
    without it. Of a oneof the branch that is filled last stands, so that each branch comes in a request of its own."""
    base = kind()
    _fill(base, values)
    yield base
    for path in _paths(base):
        for value in (None, *_choices(path[-1], values)):
            request = deepcopy(base)
            _put(request, path, value)
            yield request


def _fill(message: Message, values: Values) -> None:
    for field in message.DESCRIPTOR.fields:
        target: Any = message
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            part = getattr(target, field.name)
            part = part.add() if field.is_repeated else part
            part.SetInParent()
            _fill(part, values)
        elif field.is_repeated:
            getattr(target, field.name).append(_choices(field, values)[0])
        else:
            setattr(target, field.name, _choices(field, values)[0])


def _paths(message: Message, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Each field of a type, through the parts."""
    for field in message.DESCRIPTOR.fields:
        yield (*before, field)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            part: Any = getattr(message, field.name)
            yield from _paths(part[0] if field.is_repeated and part else _new(field, message), (*before, field))


def _new(field: Any, message: Message) -> Any:
    part = getattr(deepcopy(message), field.name)
    return part.add() if field.is_repeated else part


def _put(message: Message, path: Sequence[Any], value: Any) -> None:
    """The value in its place, None for nothing there."""
    target: Any = message
    for field in path[:-1]:
        part = getattr(target, field.name)
        target = (part[0] if part else part.add()) if field.is_repeated else part
    field = path[-1]
    target.ClearField(field.name)
    if value is None:
        return
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        part = getattr(target, field.name)
        (part.add() if field.is_repeated else part).SetInParent()
    elif field.is_repeated:
        getattr(target, field.name).append(value)
    else:
        setattr(target, field.name, value)


def _choices(field: Any, values: Values) -> Sequence[Any]:
    if field.name in values and field.type != FieldDescriptor.TYPE_MESSAGE:
        return values[field.name]
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return ("",)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return [value.number for value in reversed(field.enum_type.values)] + [99]
    if field.type == FieldDescriptor.TYPE_BOOL:
        return (True, False)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _BYTES
    if field.type in _UNSIGNED:
        return [number for number in _NUMBERS if number >= 0]
    return _TEXTS if field.type == FieldDescriptor.TYPE_STRING else _NUMBERS
