from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from engines.generation.completion import Completion
from engines.generation.stopping import decode
from engines.prompts.rendering import render_prompt, resolve_prefill, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.rewards.block import RewardBlock
from engines.rewards.named import reward_parts
from engines.training.budget import Meter
from engines.training.rollouts import JOURNAL, Rollouts, requests

END = 2


class Scripted:
    """Completions by request; remembers what it was asked."""

    identity = "scripted"

    def __init__(self, *completions):
        self.completions = completions
        self.asked = []

    def stream(self, asked, sampling, stop, seed):
        self.asked.append((list(asked), stop, seed))
        yield list(enumerate(self.completions))

    def close(self):
        pass


@pytest.fixture
def trainer():
    measured = {}
    return SimpleNamespace(
        micro_step=0, eos_token_ids=[END, 9], measure=measured.__setitem__, measured=measured
    )


@pytest.fixture
def tokenizer(tiny_model):
    return AutoTokenizer.from_pretrained(tiny_model)


def rollouts(generator, tokenizer, run, spec=None, seed=1):
    spec = spec or PromptSpec()
    return Rollouts(generator, tokenizer, spec, SamplingBlock(), seed, run.dir, Meter(run.dir))


def test_what_ends_at_a_stop_string_gets_an_end_token_that_bears_no_loss(tokenizer, trainer, make_run):
    completions = (
        Completion("ended by a stop string", [5, 6], True, "stop"),
        Completion("ended by an end token", [5, END], True, "stop"),
        Completion("ended by another end token", [5, 9], True, "stop"),
        Completion("cut off", [5, 6, 7], False, "length"),
    )
    found = rollouts(Scripted(*completions), tokenizer, make_run())(["a", "a", "b", "b"], trainer)
    assert found["completion_ids"] == [[5, 6, END], [5, END], [5, 9], [5, 6, 7]]
    assert found["env_mask"] == [[1, 1, 0], [1, 1], [1, 1], [1, 1, 1]]
    assert found["terminated"] == [True, True, True, False]
    assert found["logprobs"] is None and trainer.measured["generation_seconds"] >= 0


def test_prompts_are_the_very_tokens_of_evaluation_and_rewards_see_the_prefill(tokenizer, trainer, make_run):
    spec = PromptSpec(prefill="<start_working_out>")
    spec = resolve_prefill(tokenizer, spec)
    prompt = render_prompt(tokenizer, spec, "What is 1 + 2?")
    generator = Scripted(Completion("1+2=3", [5], True, "stop"))
    found = rollouts(generator, tokenizer, make_run(), spec)([prompt], trainer)
    assert found["prompt_ids"] == [token_ids(tokenizer, prompt)]
    assert found["text"] == ["<start_working_out>1+2=3"]
    [(asked, stop, _)] = generator.asked
    assert asked[0].prompt == prompt and stop == spec.stop


def test_tags_that_are_special_tokens_still_reach_the_rewards(tokenizer, trainer, make_run):
    """Decoded as TRL does it, without special tokens, the right answer would be bare words that earn nothing."""
    spec = PromptSpec()
    tokenizer.add_special_tokens({"additional_special_tokens": list(spec.tags)})
    ids = token_ids(tokenizer, spec.completion("1 + 2 = 3", "3"))
    assert "<SOLUTION>" not in tokenizer.decode(ids, skip_special_tokens=True)
    made = Completion(decode(tokenizer, ids), ids, True, "stop")
    found = rollouts(Scripted(made), tokenizer, make_run())(["a"], trainer)
    [earns] = reward_parts(RewardBlock(), spec, tokenizer.eos_token, 64)
    logs = {"log_extra": lambda *_: None, "log_metric": lambda *_: None, "id": ["q"]}
    columns = {name: found[name] for name in ("text", "terminated", "completion_ids")}
    state = SimpleNamespace(global_step=0, max_steps=1)
    assert earns(answer=["3"], written_answer=["3"], trainer_state=state, **columns, **logs) == [1.0]


def test_each_completion_of_a_group_is_another_sample_also_where_a_prompt_comes_twice():
    wanted = [(request.prompt, request.sample) for request in requests(["a", "a", "b", "b", "a", "a"])]
    assert wanted == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("a", 2), ("a", 3)]


def test_another_place_in_training_and_another_seed_draw_other_completions(tokenizer, trainer, make_run):
    generator = Scripted(Completion("x", [5], True, "stop"))
    for seed, step in ((1, 0), (1, 2), (2, 0)):
        trainer.micro_step = step
        rollouts(generator, tokenizer, make_run(f"{seed}-{step}"), seed=seed)(["a"], trainer)
    assert len({seed for _, _, seed in generator.asked}) == 3


def test_a_second_attempt_takes_what_the_first_generated_and_a_checkpoint_forgets_it(
    tokenizer, trainer, make_run
):
    attempt = make_run()
    made = Completion("x", [5, 6], True, "stop")
    first = rollouts(Scripted(made), tokenizer, attempt)(["a"], trainer)
    with (attempt.dir / JOURNAL).open("a") as journal:
        journal.write('{"key": "to')
    again = Scripted(made)
    second = rollouts(again, tokenizer, attempt)
    assert second(["a"], trainer) == first and not again.asked
    assert Meter(attempt.dir).budget.completions == 1
    second(["b"], trainer)
    assert len(again.asked) == 1  # another batch is generated
    second.on_save(None, None, None)
    third = Scripted(made)
    rollouts(third, tokenizer, attempt)(["a"], trainer)
    assert len(third.asked) == 1
