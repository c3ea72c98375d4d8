"""The screen of a job: each tab, and what only some engines have there."""

import json
import math

import pytest

from store import lifecycle, wishes
from store.lifecycle import NewJob
from store.schema import Status

ORIGIN = {
    "git_commit": "0123456789abcdef", "git_patch": "+x", "python": "3.12.3", "packages": {"torch": "2.13.0"},
    "platform": "Linux 6.8", "data": {"rows.jsonl": None},
}  # fmt: skip
RECIPE = {
    "engine": "sft", "model": {"base": "Qwen/Qwen2.5-1.5B"}, "task": "gsm8k", "train_samples": 2048,
    "learning_rate": 0.0001, "lora": {"r": 16, "alpha": 32}, "prompt": "Question: {question}\nAnswer:",
}  # fmt: skip
LOG = """\
loading Qwen/Qwen2.5-1.5B in bfloat16
2048 rows, 12 of them longer than 512 tokens were left out
  0%|          | 0/96 [00:00<?, ?it/s]\r 33%|###       | 32/96 [02:40<05:20,  5.01s/it]
/usr/lib/python3/site-packages/torch/utils/checkpoint.py:1399: FutureWarning: the use_reentrant parameter should be passed explicitly
step 64  loss 0.3369  learning_rate 3.3e-05  grad_norm 0.81
"""


@pytest.fixture
def training(database, bench, clock):
    """Jobs 1 to 3 are runs of one method; the first has come to two thirds."""
    clock.ago(60)
    jobs = [NewJob(f"full[seed={seed}]", "sft", RECIPE | {"seed": seed}) for seed in (1, 2, 3)]
    lifecycle.enqueue(database, "gsm8k-sft", jobs, provenance=ORIGIN)
    for number, last in ((1, 64), (2, 96), (3, 96)):
        clock.ago(50 - 10 * number)
        bench.start()
        clock.ago(35 - 10 * number)
        for step in range(1, last + 1):
            values = {
                "loss": 2 * math.exp(-step / 30) + 0.1 + 0.1 * math.sin(step * number),
                "learning_rate": 1e-4 * (1 - step / 96),
                "grad_norm": 0.8 + 0.2 * math.cos(step),
            }
            if step % 16 == 0:
                values |= {"dev_accuracy_strict": 0.2 + step / 300, "dev_accuracy_robust": 0.25 + step / 300}
            bench.record(number, {"kind": "metrics", "step": step, "values": values})
        bench.record(number, {"kind": "progress", "done": last, "total": 96, "unit": "step"})
        if last == 96:
            bench.finish(number)
    told = "12 rows are longer than max_length 512 and were left out\nhint: raise `max_length`"
    bench.record(1, {"kind": "message", "level": "warning", "text": told})
    run_dir = database.run_dir(1)
    for step, size in ((32, 18 << 20), (64, 18 << 20)):
        path = run_dir / f"checkpoints/checkpoint-{step}"
        path.mkdir(parents=True)
        with (path / "weights").open("wb") as file:
            file.truncate(size)
        bench.record(1, {"kind": "checkpoint", "step": step, "path": f"checkpoints/checkpoint-{step}"})
    (run_dir / "worker.log").write_text(LOG)
    clock.ago(0)
    return run_dir


def test_a_job_that_trains(play, training):
    async def look(person):
        await person.sees("● running")
        await person.press("enter")
        await person.sees("64/96 step", "━ loss")
        await person.shot("curves")
        await person.press("m")
        await person.shot("which metrics")
        await person.press("escape", "o")
        await person.sees("Runs to draw beside")
        await person.shot("which runs")
        await person.press("space", "j", "space", "enter")
        await person.sees("mean of seeds")
        await person.shot("beside other runs")
        await person.press("2")
        await person.sees("grad_norm 0.81")
        await person.shot("log")
        await person.press("slash")
        await person.type("loss")
        await person.press("enter")
        await person.shot("log, searched", sizes=())
        await person.press("3")
        await person.sees("learning_rate")
        await person.shot("recipe")
        await person.press("4")
        await person.sees("submitted")
        await person.shot("history")
        await person.press("5")
        await person.sees("Checkpoints")
        await person.shot("results")
        await person.press("question_mark")
        await person.shot("help", sizes=())

    play(look)


def test_a_job_that_waits_has_nothing_to_show(play, database, clock):
    clock.ago(5)
    prep = NewJob("prep", "sft", RECIPE)
    lifecycle.enqueue(database, "gsm8k-sft", [prep, NewJob("full", "sft", {}, needs=(("prep", None),))])
    clock.ago(0)

    async def look(person):
        await person.sees("◌ blocked")
        await person.press("j", "enter")
        await person.sees("waits for prep")
        await person.shot("curves")
        await person.press("2")
        await person.shot("log")
        await person.press("5")
        await person.shot("results")
        await person.press("o")
        await person.sees("No other run")
        await person.shot("no other run", sizes=())

    play(look)


def test_a_job_that_failed(play, database, bench, clock):
    """Its loss is no number, its log is no text, and it was tried twice."""
    clock.ago(90)
    lifecycle.enqueue(database, "gsm8k-sft", [NewJob("full", "sft", RECIPE)])
    why = "the loss is NaN since step 41: lower learning_rate, or set max_grad_norm"
    for minutes in (80, 30):
        clock.ago(minutes)
        if minutes == 30:
            wishes.retry(database, 1)
        bench.start()
        bench.train(1, 1, 40)
        bench.record(
            1, *({"kind": "metrics", "step": step, "values": {"loss": "nan"}} for step in range(41, 45))
        )
        bench.record(1, {"kind": "message", "level": "error", "text": f"ValueError: {why}"})
        clock.ago(minutes - 12)
        bench.finish(1, Status.FAILED, why)
    run_dir = database.run_dir(1)
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "worker.log").write_bytes(
        b"step 40 loss 0.63\n\x1b[31mValueError\x1b[0m: the loss is NaN\n\x00\xff\xfe"
        + b"#" * 400
        + b"\nno end of line"
    )
    clock.ago(0)

    async def look(person):
        await person.sees("✗ failed")
        await person.press("enter")
        await person.sees("loss is NaN")
        await person.shot("curves")
        await person.press("2")
        await person.sees("no end of line")
        await person.shot("log")
        await person.press("4")
        await person.sees("attempt 2")
        await person.shot("history")
        await person.press("5")
        await person.shot("results")

    play(look)


def of_engine(bench, clock, database, engine):
    """A job of an engine that runs, and its run directory."""
    clock.ago(40)
    bench.enqueue(engine, engine=engine)
    bench.start()
    clock.ago(0)
    run_dir = database.run_dir(1)
    run_dir.mkdir(parents=True, exist_ok=True)
    return run_dir


def test_completions_of_grpo(play, bench, clock, database):
    run_dir = of_engine(bench, clock, database, "grpo")
    for step in range(1, 41):
        values = {"reward": 0.1 + step / 80, "loss": 0.01 * math.sin(step), "kl": step / 1000}
        bench.record(1, {"kind": "metrics", "step": step, "values": values})
    bench.record(1, {"kind": "progress", "done": 40, "total": 200, "unit": "step"})
    (run_dir / "debug").mkdir()
    said = {
        "completion": "<think>2 + 2 is 4, and 4 times 3 is 12.</think>\n<answer>12</answer>",
        "gold": "12",
    }
    rows = [
        said | {"step": step, "attempt": 1, "accuracy": 1.0, "advantage": -0.35, "tokens": 31}
        for step in (39, 40)
    ]
    (run_dir / "debug" / "rollouts_a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    async def look(person):
        await person.sees("● running")
        await person.press("enter")
        await person.sees("6 Samples", "━ loss")
        await person.shot("curves")
        await person.press("6")
        await person.sees("completion 2 of 2")
        await person.shot("samples")

    play(look)


def test_heat_maps_and_studies_of_steering(play, bench, clock, database):
    run_dir = of_engine(bench, clock, database, "steering")
    rows = ["direction,layer,alpha,gold_nll_change,margin_change,significant"]
    for layer in range(8):
        for alpha in (-0.4, -0.2, -0.1, 0.1, 0.2, 0.4):
            change = 0.1 * alpha * math.sin(layer)
            rows.append(f"mean_difference,{layer},{alpha},{-change:.4f},{change:.4f},{abs(change) > 0.02}")
    (run_dir / "heatmap.csv").write_text("\n".join(rows) + "\n")
    study = {
        "study": "mean_difference",
        "role": "tested",
        "trials": 32,
        "finished": 16,
        "pruned": 3,
        "running": 8,
    }
    found = {"best_gain": 0.125, "best_params": {"layer": 2, "alpha": 0.0512}}
    null = {"study": "random-0", "role": "null", "finished": 0, "pruned": 0, "best_gain": 0.0}
    (run_dir / "studies.json").write_text(json.dumps([study | found, study | found | null]))

    async def look(person):
        await person.sees("● running")
        await person.press("enter", "5")
        await person.sees("Studies")
        await person.shot("results")

    play(look)


def test_cosines_of_many_tasks(play, bench, clock, database):
    run_dir = of_engine(bench, clock, database, "mtl_ppo")
    tasks = ("gsm8k", "code", "a-task-with-a-long-name", "logic")
    rows = ["step,row,column,cosine,corrected"]
    for y, row in enumerate(tasks):
        for x, column in enumerate(tasks):
            cosine = 1.0 if x == y else math.cos(2.0 * x * y + x + y)
            rows.append(f"40,{row},{column},{cosine:.6f},{'' if x == y else f'{cosine * 0.8:.6f}'}")
    (run_dir / "cosines.csv").write_text("\n".join(rows) + "\n")

    async def look(person):
        await person.sees("● running")
        await person.press("enter", "5")
        await person.sees("logic")
        await person.shot("results")

    play(look)


def test_rounds_of_think_prune_train(play, bench, clock, database):
    of_engine(bench, clock, database, "tpt")
    against = {"difference": 0.2, "p": 0.001, "low": 0.1, "high": 0.3, "n": 100, "wins": 30, "losses": 5}
    share = {"n": 100, "low": 0.3, "high": 0.5}
    for name, value, fields in (
        ("r0/strict", 0.2, share),
        ("r1/strict", 0.4, share | {"against_base": against}),
        ("r1/robust", 0.45, share),
        ("r1/yield", 0.61, {}),
        ("budget/generated_tokens", 661_000.0, {}),
        ("strict", 0.4, share),
        ("robust", 0.45, share),
    ):
        bench.record(1, {"kind": "score", "name": name, "value": value, "fields": fields})
    bench.record(1, {"kind": "artifact", "name": "traces", "path": "traces/round-1.jsonl"})
    bench.finish(1)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("enter", "5")
        await person.sees("Rounds")
        await person.shot("results")

    play(look)
