import json

import pytest

from engines.generation.completion import Completion
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.tasks.example import Example
from engines.training.budget import Meter
from engines.training.difficulty import JOURNAL, Prober, filter_by_difficulty, keeps
from engines.training.difficulty_block import DifficultyBlock

SPEC = PromptSpec()
POOL = [(Example(f"q{n}", f"question {n}", "", "1"), f"prompt {n}") for n in range(20)]


class Model:
    """Solves question n in n % 5 of four samples: 0 is never solved, 4 always."""

    identity = "a model of known skill"

    def __init__(self):
        self.asked = []

    def stream(self, requests, sampling, stop, seed):
        for place, request in enumerate(requests):
            self.asked.append((request.prompt, request.sample))
            right = request.sample < int(request.prompt.split()[1]) % 5
            text = SPEC.completion("x", "1" if right else "2")
            yield [(place, Completion(text, [1, 2, 3], True, "stop"))]

    def close(self):
        pass


def filtered(run, count=20, chunk=6, model=None, **block):
    model = model or Model()
    meter = Meter(run.dir)
    prober = Prober(model, SamplingBlock(temperature=1), SPEC, 1, meter)
    pool = POOL if DifficultyBlock(**block).refill else POOL[:count]
    found = filter_by_difficulty(pool, count, DifficultyBlock(samples=4, **block), prober, run, chunk)
    return [int(example.id[1:]) for example, _ in found.kept], found, model, meter


def test_questions_that_are_always_or_never_solved_are_left_out(make_run):
    kept, found, model, meter = filtered(make_run())
    assert kept == [n for n in range(20) if n % 5 in (1, 2, 3)]
    assert found.drawn == 20 and found.complete
    assert meter.budget.completions == len(model.asked) == 80 and meter.budget.generated_tokens == 240


def test_further_questions_are_drawn_until_the_budget_is_met_and_not_more(make_run):
    kept, found, _, _ = filtered(make_run(), count=4)
    assert kept == [1, 2, 3, 6] and found.drawn == 7


def test_a_pool_that_runs_dry_gives_what_it_has(make_run):
    kept, found, _, _ = filtered(make_run(), count=99, chunk=7)
    assert len(kept) == 12 and found.drawn == 20 and found.complete


def test_without_refill_what_is_left_of_the_budget_is_used(make_run):
    kept, found, model, _ = filtered(make_run(), count=8, refill=False)
    assert kept == [1, 2, 3, 6, 7] and found.drawn == 8
    assert len({prompt for prompt, _ in model.asked}) == 8


def test_bounds_narrow_what_is_kept(make_run):
    kept, *_ = filtered(make_run(), min_solve_rate=0.5, max_solve_rate=0.6)
    assert kept == [2, 7, 12, 17]
    everything = DifficultyBlock(min_solve_rate=0, max_solve_rate=1)
    assert [keeps(rate, everything) for rate in (0, 0.01, 0.99, 1)] == [False, True, True, False]
    with pytest.raises(ValueError, match="must not be above"):
        DifficultyBlock(min_solve_rate=0.6, max_solve_rate=0.5)


def test_a_larger_budget_keeps_what_a_smaller_one_kept_whatever_is_asked_at_a_time(make_run):
    small, *_ = filtered(make_run("small"), count=5)
    large, *_ = filtered(make_run("large"), count=9, chunk=1)
    assert large[:5] == small


def test_a_second_attempt_asks_only_what_the_first_did_not(make_run):
    attempt = make_run()
    whole, *_ = filtered(make_run("whole"))
    first = filtered(attempt, count=4)[2]
    with (attempt.dir / JOURNAL).open("a") as journal:
        journal.write('{"id": "q1')
    kept, found, second, _ = filtered(attempt)
    assert kept == whole and found.drawn == 20
    assert not {prompt for prompt, _ in first.asked} & {prompt for prompt, _ in second.asked}
    third = filtered(attempt)[2]
    assert not third.asked
    lines = (attempt.dir / JOURNAL).read_text().splitlines()
    assert json.loads(lines[1]) == {"id": "q1", "solved": 1, "samples": 4}


def test_a_stop_request_ends_it_between_two_chunks(make_run):
    attempt = make_run()
    attempt.stop_requested = True
    _, found, model, _ = filtered(attempt)
    assert not found.complete and not model.asked


def test_a_right_answer_that_the_reward_would_not_pay_is_no_solution(make_run):
    """Strict accuracy does not ask for reasoning; the reward does, so groups of such completions would be dead."""

    class Short(Model):
        def stream(self, requests, sampling, stop, seed):
            for [(place, made)] in super().stream(requests, sampling, stop, seed):
                _, _, answer = made.text.partition(SPEC.reasoning_end)
                yield [(place, Completion(answer, made.token_ids, True, "stop"))]

    kept, found, _, _ = filtered(make_run(), model=Short())
    assert kept == [] and found.drawn == 20


def test_bounds_between_which_no_rate_lies_are_refused():
    with pytest.raises(
        ValueError, match=r"4 completions of each give rates from 0.25 to 0.75 in steps of 0.25"
    ):
        DifficultyBlock(samples=4, min_solve_rate=0.8)
    with pytest.raises(ValueError, match="no question can be kept"):
        DifficultyBlock(samples=4, min_solve_rate=0.3, max_solve_rate=0.4)
    assert DifficultyBlock(samples=4, min_solve_rate=0.75).min_solve_rate == 0.75
