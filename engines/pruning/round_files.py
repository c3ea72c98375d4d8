"""The files of a round, under the names and with the fields of Think-Prune-Train's own programs; each is whole or absent."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engines.pruning.selection import Solution
from engines.run import Run, write_whole
from engines.tasks.example import Example
from engines.tasks.scored import ScoredExample
from engines.training.record import RECORD

SAMPLES, HINTED, STATISTICS = "samples.jsonl", "hinted.jsonl", "stats.json"
GREEDY, SAMPLED, DEV, SCORES = "eval/greedy.jsonl", "eval/sampled.jsonl", "eval/dev.jsonl", "eval/scores.json"


def round_dir(run_dir: Path, number: int) -> Path:
    return run_dir / f"r{number}"


def statistics_of(run_dir: Path, number: int) -> dict[str, Any]:
    """What thinking and pruning gave in a round."""
    found: dict[str, Any] = read_json(round_dir(run_dir, number) / STATISTICS)
    return found


def scores_of(run_dir: Path, number: int) -> dict[str, dict[str, Any]]:
    """The scores of an evaluated round by name, each with `value` and `fields`."""
    return {score["name"]: score for score in read_json(round_dir(run_dir, number) / SCORES)}


def evaluated(run_dir: Path) -> list[int]:
    """The rounds whose evaluation is done, round 0 included."""
    places = (path.parent.parent.name for path in run_dir.glob(f"r[0-9]*/{SCORES}"))
    return sorted(int(name[1:]) for name in places)


def steps_up_to(run_dir: Path, number: int) -> int:
    """Optimizer steps of all trained rounds up to this one."""
    records = (round_dir(run_dir, t) / RECORD for t in range(1, number + 1))
    return sum(read_json(path)["steps"] for path in records if path.is_file())


def steps_so_far(run: Run) -> int | None:
    """Where the next attempt's metrics go on: after the finished rounds, and the checkpoint of the one in training."""
    done = evaluated(run.dir)
    if not done:
        return None
    training = round_dir(run.dir, done[-1] + 1)
    steps = steps_up_to(run.dir, done[-1] + 1)
    checkpoint = None if (training / RECORD).is_file() else replace(run, dir=training).resume_from
    return steps + (int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0)


def write_rows(path: Path, rows: Iterable[ScoredExample]) -> None:
    write_whole(path, "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows))


def read_rows(path: Path) -> list[ScoredExample]:
    lines = path.read_text(encoding="utf-8").split("\n")  # what is written may hold other line separators
    return [ScoredExample(**json.loads(line)) for line in lines if line]


def write_json(path: Path, value: Any) -> None:
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_answer_files(directory: Path, rows: Sequence[ScoredExample]) -> None:
    """`e0.json`, `e1.json`, ...: the first, second, ... answer to every question."""
    for sample in sorted({row.sample for row in rows}):
        answers = [
            {"qnum": row.example_id, "question": row.question, "solution": row.completion}
            for row in rows
            if row.sample == sample
        ]
        write_json(directory / f"e{sample}.json", answers)


def write_pass_at_k(directory: Path, figures: Mapping[str, float]) -> None:
    """`pass_at_k_results.csv` and `.json`, from figures of which some are named `pass@k`."""
    scores = {name: value for name, value in figures.items() if name.startswith("pass@")}
    lines = ["Metric,Score", *(f"{name},{value}" for name, value in scores.items())]
    write_whole(directory / "pass_at_k_results.csv", "\n".join(lines) + "\n")
    write_json(directory / "pass_at_k_results.json", scores)


def write_solutions(path: Path, solutions: Iterable[Solution], examples: Mapping[str, Example]) -> None:
    """`correct_answers.json`, `train.json`, `eval.json`."""
    rows = [
        {
            "id": solution.example_id,
            "idt": solution.example_id,
            "question": examples[solution.example_id].question,
            "solution": solution.text or solution.reasoning,
            "solnum": examples[solution.example_id].answer,
            "reasoning": solution.reasoning,
            "sample": solution.sample,
            "source": solution.source,
        }
        for solution in solutions
    ]
    write_json(path, rows)


def read_solutions(path: Path) -> list[Solution]:
    return [
        Solution(row["id"], row["sample"], row["reasoning"], row["solution"], row["source"])
        for row in read_json(path)
    ]
