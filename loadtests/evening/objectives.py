"""The objectives, and whether a run held them. Pure.

Four stand in deploy/observability/slos.yaml (`FOLDER`), and are judged by the services' own metrics, as Prometheus
judges them. The others are what a person waits for, measured on the devices; they are named here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.evening.latencies import above, from_text

FOLDER, HERE = "slos.yaml", "here"


@dataclass(frozen=True)
class Objective:
    """`share` of the actions are done within `within_ms`; one that failed is not. 0 ms: only failures count."""

    action: str
    share: float
    within_ms: float
    what: str


# What a person waits for. Raising a time or lowering a share lets a slower release pass; the other way round, a machine
# that is busy for a second breaks the run.
OBJECTIVES = (
    Objective("send", 0.99, 500, "from the send that is due to its acknowledgement"),
    Objective("deliver", 0.99, 1000, "from the send that is due to another person's device"),
    Objective("typing", 0.99, 1000, "from typing to the notice on the other's device"),
    Objective("read", 0.99, 500, "from reading to the acknowledged receipt"),
    Objective("react", 0.99, 500, "from a reaction to its acknowledgement"),
    Objective("session", 0.99, 3000, "from opening the app to a device that has everything"),
    Objective("search", 0.99, 1000, "from a search to its answer"),
    Objective("upload", 0.99, 2000, "from choosing a picture until its bytes are stored"),
    Objective("download", 0.99, 2000, "from seeing a picture until its bytes are there"),
    Objective("ring", 0.99, 2000, "from placing a call to its ring on the other's device"),
    Objective("accept", 0.99, 1000, "from the answer to the permission to talk"),
    Objective("media", 0.995, 4000, "from the answer until both hear each other"),
)


@dataclass(frozen=True)
class ServerObjective:
    """One of the folder's: `good` of all that the services counted. `group` is its name in slos.yaml."""

    group: str
    share: float
    what: str


SERVER_OBJECTIVES = (
    ServerObjective("slo-send", 0.9995, "sends that did not fail by our fault"),
    ServerObjective("slo-delivery", 0.999, "events routed to devices within 1 s of their publication"),
    ServerObjective("slo-call-setup", 0.995, "answered calls in which all had media within 4 s"),
    ServerObjective("slo-call-quality", 0.97, "legs of participants over 5 s with a MOS above 3.5"),
)


# Below this probability it was no chance. Raising it calls chance a fault; lowering it lets a fault pass as chance.
HARDLY = 0.01


def judge(share: float, total: float, bad: float) -> dict[str, Any]:
    """`held`: whether few enough were bad; None where there are too few to say.

    Where a single bad one is too many, it may be chance: as many as chance hardly brings are none.

    `budget_used`: 1 is all that may be bad.
    """
    allowed = (1 - share) * total
    held: bool | None = bad <= allowed
    if total == 0 or (allowed < 1 and bad and _chance_of(bad, allowed) > HARDLY):
        held = None
    used = bad / allowed if allowed else None
    return {
        "total": round(total),
        "bad": round(bad),
        "share": share,
        "held": held,
        "budget_used": None if used is None else round(used, 2),
    }


def _chance_of(bad: float, expected: float) -> float:
    """The probability of so many or more, where so many are expected (Poisson)."""
    return 1 - math.exp(-expected) * math.fsum(expected**n / math.factorial(n) for n in range(round(bad)))


def judge_actions(actions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The devices' objectives, of those actions that there were."""
    return [
        {
            "objective": one.action,
            "what": one.what,
            "from": HERE,
            "within_ms": one.within_ms,
            **_judge_action(one, actions[one.action]),
        }
        for one in OBJECTIVES
        if one.action in actions
    ]


def judge_server(counted: Mapping[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """The folder's objectives; `counted` has (all, bad) by group."""
    return [
        {"objective": one.group, "what": one.what, "from": FOLDER, **judge(one.share, *counted[one.group])}
        for one in SERVER_OBJECTIVES
        if one.group in counted
    ]


def broken(judged: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of those that did not hold."""
    return [one["objective"] for one in judged if one["held"] is False]


def _judge_action(objective: Objective, action: Mapping[str, Any]) -> dict[str, Any]:
    late = above(from_text(action["hdr"]), objective.within_ms) if action["count"] else 0
    return judge(objective.share, action["count"] + action["failed"], late + action["failed"])
