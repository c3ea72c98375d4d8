"""`python -P -m daemon.chaos`: runs trials and prints their report. Exit code 1 when a promise was broken."""

import argparse
import json
import sys
from typing import Any

from daemon.chaos import trials
from daemon.chaos.trials import Report

PROMISES = {
    "lost_jobs": "lost jobs",
    "lost_rows": "lost metric rows",
    "doubled_rows": "doubled metric rows",
    "wrong_exit_codes": "wrong exit codes",
    "double_bookings": "double bookings",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -P -m daemon.chaos", description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report = trials.run(arguments.trials, arguments.seed, _narrate)
    _print(json.dumps(_as_json(report)) if arguments.json else as_text(report))
    return 1 if report.verdict.broken else 0


def as_text(report: Report) -> str:
    killed = ", ".join(f"{who} {times}" for who, times in sorted(report.killed.items()))
    lines = [f"trials             {report.trials} (seed {report.seed}, {report.seconds:.0f} s)"]
    lines += [f"killed             {killed}", f"jobs               {report.jobs}"]
    lines += [f"{words:<18} {getattr(report.verdict, name)}" for name, words in PROMISES.items()]
    return "\n".join([*lines, *report.verdict.findings])


def _as_json(report: Report) -> dict[str, Any]:
    return vars(report) | {"killed": dict(report.killed), "verdict": vars(report.verdict)}


def _narrate(report: Report) -> None:
    broken = report.verdict.broken
    sys.stderr.write(f"{report.trials} trials, {report.jobs} jobs, {broken} broken promises\n")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
