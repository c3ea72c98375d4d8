"""What only some jobs have: checkpoints, completions with rewards, rounds, histories of GPUs, provenance."""

import json
from pathlib import Path
from typing import Any

import pytest

from cockpit.chart_choice import default_charts, possible_charts
from cockpit.checkpoints import read_checkpoints
from cockpit.rollouts import read_rollout, rollout_file
from store import lifecycle, paths
from store.database import Database
from store.lifecycle import NewJob
from store.metrics import Series


def save(bench: Any, run_dir: Path, step: int, size: int | None, **scores: float) -> None:
    path = f"checkpoints/checkpoint-{step}"
    if size is not None:
        (run_dir / path).mkdir(parents=True)
        (run_dir / path / "weights").write_bytes(b"w" * size)
    bench.record(1, {"kind": "checkpoint", "step": step, "path": path})
    if scores:
        bench.record(1, {"kind": "metrics", "step": step, "values": scores})


@pytest.mark.parametrize(("name", "best"), [("dev_accuracy_strict", 20), ("eval_loss", 10)])
def test_checkpoints_are_sized_scored_and_the_best_is_named(
    database: Database, bench: Any, name: str, best: int
) -> None:
    bench.enqueue("train")
    bench.start()
    run_dir = paths.run_dir(database.home, 1)
    for step, size, value in ((10, None, 0.25), (20, 2048, 0.75), (30, 4096, 0.75)):
        save(bench, run_dir, step, size, **{name: value})
    save(bench, run_dir, 35, 7)
    found = read_checkpoints(database, 1)
    assert [one.step for one in found] == [10, 20, 30, 35]
    assert [one.size for one in found] == [None, 2048, 4096, 7]
    assert [one.score for one in found] == [0.25, 0.75, 0.75, None]
    assert [one.step for one in found if one.best] == [best]


def roll(run_dir: Path, *rows: dict[str, Any] | str, name: str = "a") -> None:
    (run_dir / "debug").mkdir(parents=True, exist_ok=True)
    with (run_dir / "debug" / f"rollouts_{name}.jsonl").open("a") as file:
        file.writelines(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def test_completions_are_read_one_at_a_time_and_half_a_line_does_not_count(tmp_path: Path) -> None:
    assert rollout_file(tmp_path) is None and read_rollout(tmp_path, None) is None
    roll(tmp_path, {"step": 1, "attempt": 1, "completion": "one", "advantage": -0.5, "gold": "7", "acc": 0})
    roll(tmp_path, {"step": 2, "completion": [{"role": "assistant", "content": "two"}], "acc": None})
    roll(tmp_path, "no json\n", '{"step": 3, "comp')
    first = read_rollout(tmp_path, 0)
    assert first is not None and (first.index, first.count, first.step) == (0, 3, 1)
    assert first.figures == {"advantage": -0.5, "acc": 0.0} and first.texts == {"gold": "7"}
    second = read_rollout(tmp_path, 1)
    assert second is not None and second.completion == "assistant: two" and second.figures == {}
    last = read_rollout(tmp_path, None)
    assert last is not None and last.completion == "no json" and last == read_rollout(tmp_path, 99)


def series(*names: str) -> list[Series]:
    return [Series(i, 1, name, 10, 10, 1.0) for i, name in enumerate(names)]


def test_gpus_and_diagnostics_are_offered_in_groups_and_not_drawn_before_somebody_asks() -> None:
    cards = [f"gpu/{card}/{figure}" for card in range(6) for figure in ("memory", "util")]
    found = possible_charts(series("jepa_cosine", "jepa_margin", "loss", "note", *cards))
    assert found == [
        ("loss",),
        ("jepa_cosine", "jepa_margin"),
        ("note",),
        tuple(f"gpu/{card}/util" for card in range(4)),
        ("gpu/4/util", "gpu/5/util"),
        tuple(f"gpu/{card}/memory" for card in range(4)),
        ("gpu/4/memory", "gpu/5/memory"),
    ]
    assert default_charts(series(*cards, "note")) == [("note",)]
    assert default_charts(series("gpu/0/util")) == [("gpu/0/util",)]


def test_the_rewards_of_a_policy_are_drawn_before_its_loss() -> None:
    found = default_charts(series("acc_robust", "kl", "loss", "reward"))
    assert found == [("reward", "acc_robust"), ("loss",)]
    assert default_charts(series("acc_robust", "loss")) == [("loss",)]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_a_job_of_rewards_shows_its_completions_checkpoints_and_cards(
    visit: Any, bench: Any, database: Database, size: tuple[int, int]
) -> None:
    origin = {"git_commit": "0123456789abcdef", "git_patch": "+x", "data": {"rows.jsonl": None}}
    lifecycle.enqueue(database, "demo", [NewJob("policy", "grpo", {"engine": "grpo"})], provenance=origin)
    bench.start()
    run_dir = paths.run_dir(database.home, 1)
    save(bench, run_dir, 10, 3 << 20, dev_accuracy_strict=0.5, reward=0.1, loss=0.01)
    samples = [
        {"kind": "metrics", "step": 60 * i, "values": {"gpu/0/util": 90.0, "gpu/0/power": 300.0}} for i in range(70)
    ]  # fmt: skip
    bench.record(1, *samples)

    async def look(person: Any) -> None:
        await person.sees("● running")
        await person.press("enter")
        await person.sees("━ dev_accuracy_strict", "5 Results")
        assert "Samples" not in person.text
        await person.press("6")
        roll(
            run_dir,
            {"step": 9, "completion": "\x1b[2Jfirst", "acc": -1.0},
            {"step": 10, "completion": "last"},
        )
        bench.record(1, {"kind": "metrics", "step": 11, "values": {"reward": 0.2}})
        await person.sees("6 Samples")
        await person.press("6")
        await person.sees("step 10   completion 2 of 2", "last")
        await person.press("p")
        await person.sees("completion 1 of 2", "acc", "-1", "first")
        await person.press("e")
        roll(run_dir, {"step": 12, "completion": "newer"})
        await person.sees("completion 3 of 3", "newer")
        await person.press("5")
        await person.sees("Checkpoints", "step       10", "3 MiB", "50.0%", "◆ best")
        await person.press("3")
        await person.sees("code", "0123456789ab, with uncommitted changes", "rows.jsonl", "engine: grpo")
        await person.press("m")
        await person.sees("[ ] gpu/0/util", "[ ] gpu/0/power")
        await person.press(*["j"] * 3, "space", "enter")
        await person.sees("━ gpu/0/util 90", "seconds")

    visit(look, size)


def test_rounds_of_think_prune_train_are_a_table_with_verdicts(visit: Any, bench: Any) -> None:
    bench.enqueue("loop", engine="tpt")
    bench.start()
    against = {"difference": 0.2, "p": 0.001, "low": 0.1, "high": 0.3, "n": 100, "wins": 30, "losses": 5}
    for name, value, fields in (
        ("r0/strict", 0.2, {}),
        ("r1/strict", 0.4, {"against_base": against}),
        ("r1/robust", 0.45, {}),
        ("strict", 0.4, {}),
    ):
        bench.record(1, {"kind": "score", "name": name, "value": value, "fields": fields})
    bench.finish(1)

    async def look(person: Any) -> None:
        await person.sees("✓ succeeded")
        await person.press("enter", "5", "G")
        await person.sees("Rounds", "20.0%", "40.0%        45.0%  strict: better")

    visit(look)
