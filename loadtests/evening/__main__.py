"""An evening at a social network: people like people, against objectives; and the scenarios that try to break it.

The report is build/reports/<scenario>.json, with a page of plots beside it.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from deploy.embedded.errors import StackError
from deploy.embedded.record import ROOT
from loadtests.evening import comparing, reporting, results
from loadtests.evening.limits import Search
from loadtests.evening.measuring import GENERATOR_LATE_MS, GeneratorError, commit_of, measure
from loadtests.evening.other_tree import stack_of
from loadtests.evening.plans import LIMIT, PLANS, QUICK, environment_of
from loadtests.evening.progress import Progress
from loadtests.scenario import run as run_scenario

REPORTS = ROOT / "build" / "reports"
LOGS = ROOT / ".parley" / "load-evening-logs"
# Of the plan, what a user of the command sets.
_HELP = {
    "people": "of the town",
    "pace": "how many times as often sessions and calls come as the table of habits says",
    "warm_up_s": "before what counts",
    "steady_s": "what counts",
    "seed": "what all chance is drawn from",
}


async def _run_once(scenario: str, plans: list[dict[str, Any]], tree: Path | None, tell: Progress) -> dict[str, Any]:
    """One run on a stack of its own."""
    async with stack_of(tree, LOGS) as record:
        return await measure(record, scenario, plans, tell)


def _plans(arguments: argparse.Namespace, people: int | None = None) -> list[dict[str, Any]]:
    """One for each generator, each with a town and a seed of its own."""
    plan = (QUICK if arguments.quick else PLANS)[arguments.scenario]
    if arguments.find_limit and not arguments.quick:
        plan = LIMIT
    known = {field.name: field for field in fields(plan)}
    given = {name: getattr(arguments, name) for name in _HELP if name in known}
    plan = replace(plan, **{name: value for name, value in given.items() if value is not None})
    for name, text in (pair.split("=", 1) for pair in arguments.set):
        if name not in known:
            raise SystemExit(f"{arguments.scenario} has no {name}; it has {', '.join(known)}")
        plan = replace(plan, **{name: type(getattr(plan, name))(text)})
    count = arguments.generators
    whole = people or getattr(plan, "people", 0)
    plans = []
    for number in range(count):
        one = {**asdict(plan), "seed": plan.seed + number}
        if "people" in one:
            one["people"] = max(whole // count, 2)
        plans.append(one)
    return plans


async def _run_in_turn(arguments: argparse.Namespace, path: Path) -> int:
    """The rounds; with another checkout both in turn, old first. The last report of each is compared."""
    last: dict[str, dict[str, Any]] = {}
    trees = {"new": None} if arguments.old is None else {"old": arguments.old.absolute(), "new": None}
    status = 0
    for number in range(arguments.rounds):
        for name, tree in trees.items():
            is_only = arguments.rounds == 1 and len(trees) == 1
            target = path if is_only else path.with_stem(f"{path.stem}-{name}-{number + 1}")
            plans = _plans(arguments)
            tell = Progress(target.stem)
            figures = await _run_once(arguments.scenario, plans, tree, tell)
            commit = {"commit": commit_of(tree), "label": f"old {commit_of(tree)}"} if tree else {}
            plan = {**plans[0], "generators": len(plans)}
            last[name] = reporting.write(target, arguments.scenario, {**figures, **commit}, plan)
            _tell_verdict(last[name], target, tell)
            status |= not last[name]["verdict"]["held"]
    if len(last) > 1:
        _compare(last["old"], last["new"], path.with_stem(f"{path.stem}-compared"))
    return status


async def _find_limit(arguments: argparse.Namespace, path: Path) -> int:
    """Runs with more and with fewer people, until it is known at how many each objective breaks first."""
    search = Search(
        _plans(arguments)[0]["people"] * arguments.generators, arguments.most, most_runs=arguments.most_runs
    )
    best: dict[str, Any] | None = None
    tell = Progress(path.stem)
    while (people := search.next_load()) is not None:
        plans = _plans(arguments, people)
        figures = await _run_once(arguments.scenario, plans, None, tell)
        report = reporting.judge(figures)
        held = {one["objective"]: one["held"] for one in report["objectives"]}
        held["nothing lost, doubled or reordered"] = not any(figures["promises"].values())
        # A generator that is late says nothing about the stack: the search must not go on beyond it.
        late_ms = figures["actions"].get("generator", {}).get("ms", {}).get("p99", 0.0)
        held["the generator keeps up"] = late_ms <= GENERATOR_LATE_MS
        search.add(people, held)
        broken = [name for name, verdict in held.items() if verdict is False]
        tell.line(f"{people} people, {figures['cores_used']:.2f} cores: {', '.join(broken) or 'all held'}")
        if not broken and (best is None or people > best["plan"]["people"]):
            best = {"figures": figures, "plan": {**plans[0], "people": people}}
    found = search.figures()
    if best is not None:
        found["people_per_core"] = round(best["plan"]["people"] / best["figures"]["cores_used"])
        found["people_per_core_of_the_machine"] = round(best["plan"]["people"] / (os.cpu_count() or 1))
    kept = best or {"figures": figures, "plan": plans[0]}
    report = reporting.write(path, arguments.scenario, {**kept["figures"], "limits": found}, kept["plan"])
    print(json.dumps(found), flush=True)
    tell.line(f"the page is {path.with_suffix('.html')}")
    return 0 if best else 1


def _tell_verdict(report: Mapping[str, Any], path: Path, tell: Progress) -> None:
    tell.line(report["in_short"] or report["scenario"])
    for reason in report["verdict"]["reasons"]:
        tell.line(f"not held: {reason}")
    for note in report["verdict"]["notes"]:
        tell.line(note)
    tell.line(f"the page is {path.with_suffix('.html')}")
    figures = {
        "scenario": report["scenario"],
        "held": report["verdict"]["held"],
        "promises": report.get("promises"),
        **report.get("headline", {}),
        "p99_ms": {name: one["ms"].get("p99") for name, one in report.get("actions", {}).items() if one["count"]},
        "cores_used": report.get("cores_used"),
    }
    print(json.dumps(figures), flush=True)


def _compare(one: Mapping[str, Any], other: Mapping[str, Any], path: Path) -> None:
    path.with_suffix(".html").write_text(comparing.html(one, other))
    print(comparing.text(one, other), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.evening", description=__doc__)
    parser.add_argument("scenario", nargs="?", default="evening", choices=sorted(PLANS))
    parser.add_argument("--quick", action="store_true", help="a small load for a minute, to see that it works")
    for name, text in _HELP.items():
        kind = int if name in ("people", "seed") else float
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=text)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of the scenario's plan")
    parser.add_argument("--generators", type=int, default=1, help="processes, each with a town of its own (default 1)")
    parser.add_argument("--rounds", type=int, default=1, help="runs, one after the other (default 1)")
    parser.add_argument("--old", type=Path, help="another checkout, set up: its services and these run in turn")
    parser.add_argument("--find-limit", action="store_true", help="how many people break each objective first")
    parser.add_argument("--most", type=int, default=20_000, help="people at which the search ends (default 20000)")
    parser.add_argument("--most-runs", type=int, default=10, help="runs of the search (default 10)")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("A.json", "B.json"), help="two reports, no run")
    parser.add_argument("--results", nargs="+", type=Path, metavar="R.json", help="reports as a table, no run")
    parser.add_argument("--report", type=Path, help="where the JSON report goes; the page stands beside it")
    arguments = parser.parse_args()
    if arguments.find_limit and arguments.scenario != "evening":
        parser.error("--find-limit is of the evening: the other scenarios have no number of people")
    return arguments


async def main() -> int:
    """Returns the exit status: 1 when anything did not hold."""
    arguments = _arguments()
    path = arguments.report or REPORTS / f"{arguments.scenario}.json"
    if arguments.results:
        print(results.markdown(reporting.read(each) for each in arguments.results))
        return 0
    if arguments.compare:
        one, other = (reporting.read(each) for each in arguments.compare)
        _compare(one, other, path.with_stem("compared"))
        return 0
    os.environ.update(environment_of(arguments.scenario))
    try:
        work = _find_limit if arguments.find_limit else _run_in_turn
        return await work(arguments, path)
    except (StackError, GeneratorError) as error:
        Progress(path.stem).line(str(error))
        return 1


if __name__ == "__main__":
    os.chdir(ROOT)
    run_scenario(main)
