"""The smallest part of a history that still shows a breach (ddmin: Zeller and Hildebrandt, 2002). Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tests.faults.checker.history import History, Operation
from tests.faults.checker.promises import PROMISES, Breach

T = TypeVar("T")


def shrink(history: History, breach: Breach) -> History:
    """Leaves out views, operations, arrivals, calls, webhooks and notices for as long as the same breach stands.

    A view stays whole: without one of its messages it would be the view of another fault.
    """
    small = history
    for name in ("views", "operations", "arrivals", "calls", "heard", "hooks", "notices"):
        small = _with(small, name, _smallest(getattr(small, name), _still(small, name, breach)))
    return replace(small, directs={key: pair for key, pair in small.directs.items() if key == breach.key[0]})


def explain(history: History, breach: Breach) -> str:
    """The smallest failing history as lines that a person reads: what was asked and done, in the order of time."""
    small = shrink(history, breach)
    lines = [
        (operation.began_s, f"{operation.person} ({operation.device}): {_said(operation)}")
        for operation in small.operations
    ]
    last_s = max((operation.ended_s for operation in small.operations), default=0.0)
    first_s = min((operation.began_s for operation in small.operations), default=0.0)
    lines += [
        (fault.began_s, f"nemesis: {fault.name} {fault.target} for {fault.ended_s - fault.began_s:.1f} s")
        for fault in history.faults
        if fault.ended_s >= first_s - 10.0 and fault.began_s <= last_s
    ]
    lines += [(arrival.at_s, f"{arrival.device} is told seq {arrival.seq}") for arrival in small.arrivals]
    lines += [
        (hook.at_s, f"the network is told {hook.type} {hook.place or ''} of {hook.about}") for hook in small.hooks
    ]
    lines += [
        (
            notice.at_s,
            f"{notice.device} is sent {notice.kind or 'nothing any more'} {notice.seq or ''} of {notice.thread}",
        )
        for notice in small.notices
    ]
    told = "\n".join(f"  {at_s:8.3f} s  {text}" for at_s, text in sorted(lines))
    return f"{breach.promise}: {breach.text}\n{told}"


def _said(operation: Operation) -> str:
    about = " ".join(filter(None, (operation.subject, operation.conversation)))
    seq = f", seq {operation.seq}" if operation.seq else ""
    asked = f" up to {operation.asked_seq}" if operation.asked_seq else ""
    took = f"{(operation.ended_s - operation.began_s) * 1e3:.0f} ms"
    return f"{operation.action} {about}{asked} -> {operation.outcome}{seq} {operation.status} ({took})"


def _with(history: History, name: str, kept: tuple[Any, ...]) -> History:
    changes: dict[str, Any] = {name: kept}
    return replace(history, **changes)


def _still(history: History, name: str, breach: Breach) -> Callable[[tuple[Any, ...]], bool]:
    """Whether the breach stands when this is all that the history has under that name."""
    return lambda kept: _shows(_with(history, name, kept), breach)


def _shows(history: History, breach: Breach) -> bool:
    return any(key == breach.key for key, _ in PROMISES[breach.promise](history))


def _smallest(things: Sequence[T], still_fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    kept = tuple(things)
    parts = 2
    while kept:
        size = max(1, -(-len(kept) // parts))
        chunks = [kept[at : at + size] for at in range(0, len(kept), size)]
        for number in range(len(chunks)):
            rest = tuple(thing for other, chunk in enumerate(chunks) if other != number for thing in chunk)
            if still_fails(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return kept
            parts = min(parts * 2, len(kept))
    return kept
