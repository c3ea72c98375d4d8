import pytest
from transformers import AutoTokenizer

from engines.generation.completion import Completion
from engines.prompts.rendering import render_prompt, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock, TaskBlock
from engines.recipe.errors import RecipeError
from engines.tasks.loading import training_examples
from engines.training.algorithm import Algorithm
from engines.training.budget import Meter
from engines.training.difficulty import Prober
from engines.training.questions import draw_questions, lay_out

SPEC = PromptSpec(system="")


class Always:
    """Solves a question in its first sample alone, unless it speaks of an odd number of apples."""

    identity = "half of the questions are hopeless"

    def __init__(self, answers):
        self.answers, self.closed = answers, False

    def stream(self, requests, sampling, stop, seed):
        for place, request in enumerate(requests):
            gold = self.answers[request.prompt]
            right = request.sample == 0 and int(gold) % 2 == 0
            yield [(place, Completion(SPEC.completion("x", gold if right else "-1"), [1], True, "stop"))]

    def close(self):
        self.closed = True


@pytest.fixture
def draw(tiny_model, sums, make_run):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    task = TaskBlock(name="gsm8k", path=str(sums), dev_examples=10)
    pool = training_examples(task, None, 42)
    prompts = {render_prompt(tokenizer, SPEC, example.question): example.answer for example in pool}
    model = Always(prompts)

    def drawn(context=None, **fields):
        run = make_run()
        recipe = Algorithm(per_device_train_batch_size=8, gradient_accumulation_steps=2, **fields)
        prober = Prober(model, SamplingBlock(temperature=1), SPEC, 42, Meter(run.dir))
        found = draw_questions(recipe, task, run, tokenizer, SPEC, context, lambda: prober)
        return found, recipe, run

    lengths = [len(token_ids(tokenizer, prompt)) for prompt in prompts]
    drawn.pool, drawn.lengths, drawn.model, drawn.tokenizer = pool, lengths, model, tokenizer
    return drawn


def messages(events):
    return "\n".join(event["text"] for event in events if event["kind"] == "message")


def test_without_a_filter_the_budget_is_a_prefix_of_the_same_order_as_for_sft(draw):
    found, _, _ = draw(train_samples=16)
    assert [example for example, _ in found.kept] == draw.pool[:16] and found.drawn == 16
    assert not draw.model.closed


def test_questions_are_drawn_until_the_budget_is_met_and_both_numbers_are_told(draw, read_events):
    found, _, run = draw(train_samples=10, difficulty={"samples": 2})
    assert len(found.kept) == 10 < found.drawn
    assert all(int(example.answer) % 2 == 0 for example, _ in found.kept)
    assert f"kept 10 of {found.drawn} questions, by 2 completions of each" in messages(read_events(run))
    assert draw.model.closed


def test_a_pool_that_is_too_small_for_the_budget_is_said_to_be(draw, read_events):
    found, _, run = draw(train_samples=40, difficulty={"samples": 2})
    assert found.drawn == len(draw.pool) and len(found.kept) < 40
    assert f"trains on {len(found.kept)} questions instead of 40" in messages(read_events(run))


def test_long_prompts_are_left_out_and_counted_and_never_cut(draw, read_events):
    limit = max(draw.lengths) - 1
    too_long = sum(length > limit for length in draw.lengths)
    assert 0 < too_long < 50
    found, _, run = draw(max_prompt_length=limit)
    assert len(found.kept) == 50 - too_long
    assert f"left out {too_long} questions whose prompts are longer than {limit}" in messages(
        read_events(run)
    )
    within, _, _ = draw(context=limit + 30, max_completion_length=30)
    assert within.kept == found.kept


def test_fewer_questions_than_one_generation_batch_are_refused(draw):
    with pytest.raises(RecipeError, match="only 0 of 2 questions are left"):
        draw(train_samples=2, difficulty={"samples": 3, "refill": False, "min_solve_rate": 0.5})


def test_rows_hold_the_rendered_prompt_and_what_rewards_need(draw, read_events):
    found, recipe, run = draw(train_samples=5)
    order, dataset = lay_out(recipe, run, found.kept)
    assert order.filled == 1 and "1 questions are seen once more" in messages(read_events(run))
    example, prompt = found.kept[0]
    assert dataset[0] == {
        "prompt": prompt,
        "answer": example.answer,
        "written_answer": example.answer,
        "id": example.id,
    }
    assert len(dataset) == 6 and {row["id"] for row in dataset} == {example.id for example, _ in found.kept}


def test_the_number_of_steps_decides_the_number_of_batches(draw):
    found, _, run = draw(train_samples=5)
    for fields, batches in (({}, 3), ({"num_iterations": 2}, 2), ({"steps_per_generation": 1}, 6)):
        recipe = Algorithm(
            per_device_train_batch_size=8, gradient_accumulation_steps=2, max_steps=3, **fields
        )
        order, _ = lay_out(recipe, run, found.kept)
        assert len(order.positions) == batches * recipe.prompts_per_generation


def test_a_context_without_room_for_any_prompt_is_said_to_be_the_cause(draw):
    with pytest.raises(RecipeError, match="max_completion_length: 512 leaves no room for a prompt"):
        draw(context=512, max_completion_length=512)
    with pytest.raises(
        RecipeError, match=r"all 50 questions have prompts of more than 3 tokens\nhint: raise"
    ):
        draw(max_prompt_length=3)


def test_a_template_that_writes_bos_twice_is_refused(draw):
    draw.tokenizer.bos_token = "<|endoftext|>"
    draw.tokenizer.chat_template = "{{ bos_token }}" + draw.tokenizer.chat_template
    draw(train_samples=2)
    draw.tokenizer.chat_template = "{{ bos_token }}" + draw.tokenizer.chat_template
    with pytest.raises(RecipeError, match="more than one beginning-of-sequence token"):
        draw(train_samples=2)
