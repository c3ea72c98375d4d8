import json

from engines.generation.completion import Completion
from engines.training.budget import FILE_NAME, LEDGER, Meter


def test_attempts_add_up(make_run, read_events):
    attempt = make_run()
    first = Meter(attempt.dir)
    step = [Completion("a", [1, 2, 3], True, "stop"), Completion("b", [1], False, "length")]
    first.generated({"step 0": step})
    first.save()
    spent = json.loads((attempt.dir / FILE_NAME).read_text())
    assert (spent["completions"], spent["generated_tokens"]) == (2, 4)
    second = Meter(attempt.dir)
    second.generated({"step 0": step, "step 1": [Completion("c", [1, 2], True, "stop")]})
    second.budget.prompts, second.budget.steps = 2, 5
    second.save()
    assert second.budget.seconds >= spent["seconds"]
    second.budget.emit(attempt.events)
    told = {event["name"]: event["value"] for event in read_events(attempt)}
    assert told.pop("budget/seconds") == second.budget.seconds
    assert told == {
        "budget/prompts": 2,
        "budget/completions": 3,
        "budget/generated_tokens": 6,
        "budget/trained_tokens": 0,
        "budget/steps": 5,
    }
    assert not list(attempt.dir.glob("*.partial"))


def test_a_kill_between_two_writes_neither_loses_nor_doubles_what_was_generated(make_run):
    attempt = make_run()
    made = [Completion("a", [1, 2, 3], True, "stop")]
    killed = Meter(attempt.dir)
    killed.generated({"step 0": made})  # and not saved
    with (attempt.dir / LEDGER).open("a") as ledger:
        ledger.write('{"key": "step 1", "compl')
    second = Meter(attempt.dir)
    assert second.budget.completions == 1
    second.generated({"step 0": made, "step 1": made})
    assert Meter(attempt.dir).budget.generated_tokens == 6
