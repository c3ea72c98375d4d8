"""What an experiment has shown."""

from store import lifecycle
from store.lifecycle import NewJob

PROTOCOL = {"task": "gsm8k", "split": "test", "data_hash": "d"}
BUDGETS = (256, 1024, 4096)


def test_the_report_of_a_sweep(play, bench, database, clock):
    clock.ago(120)
    jobs = [NewJob("base", "eval", {"engine": "eval", "model": {"base": "pocket"}})]
    for count in BUDGETS:
        name = f"full[train_samples={count}]"
        trained = {"engine": "sft", "model": {"base": "pocket"}, "train_samples": count}
        jobs.append(NewJob(name, "sft", trained))
        jobs.append(NewJob(f"{name}/eval", "eval", {"model": {"from": "it"}}, ((name, "it"),)))
    lifecycle.enqueue(database, "budgets", jobs)
    right = iter((4, 9, 12, 17))
    for minutes in range(110, 40, -10):
        clock.ago(minutes)
        job = bench.start()
        if jobs[job - 1].engine == "eval":
            count = next(right)
            bench.score(job, [True] * count + [False] * (20 - count))
            share = {
                "n": 20,
                "low": max(count / 20 - 0.2, 0),
                "high": min(count / 20 + 0.2, 1),
                "protocol": PROTOCOL,
            }
            for name in ("strict", "robust"):
                bench.record(job, {"kind": "score", "name": name, "value": count / 20, "fields": share})
        else:
            last = BUDGETS[job // 2 - 1] // 64
            bench.train(job, last, last, total=last)
            bench.record(
                job,
                {
                    "kind": "metrics",
                    "step": last,
                    "values": {"samples": 64.0 * last, "tokens": 6400.0 * last},
                },
            )
        bench.finish(job)
    clock.ago(0)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("p")
        await person.sees("budgets: ", "Accuracy")
        await person.shot("top")
        await person.press("G")
        await person.shot("bottom", sizes=())

    play(look)


def test_the_report_of_an_experiment_without_evaluations(play, bench):
    bench.enqueue("a", "b")

    async def look(person):
        await person.sees("○ queued")
        await person.press("p")
        await person.sees("no evaluation yet")
        await person.shot("empty")

    play(look)
