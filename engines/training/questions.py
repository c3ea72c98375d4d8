"""The questions that a GRPO run learns from: those that fit, that are neither too easy nor too hard, in order."""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any

from datasets import Dataset

from engines.prompts.rendering import render_prompt, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import TaskBlock
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.tasks.example import Example
from engines.tasks.loading import training_examples
from engines.training.algorithm import Algorithm
from engines.training.difficulty import Filtered, Prober, Question, filter_by_difficulty
from engines.training.preflight import check_single_bos, own_bos
from engines.training.prompt_order import Order, prompt_order


def draw_questions(
    recipe: Algorithm,
    task: TaskBlock,
    run: Run,
    tokenizer: Any,
    spec: PromptSpec,
    context: int | None,
    open_prober: Callable[[], Prober],
) -> Filtered:
    """`train_samples` questions in the seed's order. `context` is the model's, in tokens."""
    block, wanted = recipe.difficulty, recipe.train_samples
    refills = block is not None and block.refill
    pool = training_examples(task, None if refills else wanted, run.seed)
    room = None if context is None else context - recipe.max_completion_length
    longest = min((limit for limit in (room, recipe.max_prompt_length) if limit is not None), default=None)
    if longest is not None and longest < 1:
        raise RecipeError(
            f"max_completion_length: {recipe.max_completion_length} leaves no room for a prompt in the model's context "
            f"of {context} tokens",
            hint="lower `max_completion_length`",
        )
    too_long: list[str] = []
    fitting = _fitting(tokenizer, spec, pool, longest, too_long)
    if block is None:
        kept = list(fitting)
        found = Filtered(kept, len(kept), complete=True)
    else:
        prober = open_prober()
        found = filter_by_difficulty(fitting, wanted or len(pool), block, prober, run)
        prober.generator.close()
    if too_long:
        text = f"left out {len(too_long)} questions whose prompts are longer than {longest} tokens"
        run.events.message(text, "warning")
    if too_long and not found.drawn:
        raise RecipeError(
            f"all {len(too_long)} questions have prompts of more than {longest} tokens",
            hint="raise `max_prompt_length`, or lower `max_completion_length`",
        )
    if found.complete:
        _tell(recipe, run, found)
    return found


def _fitting(
    tokenizer: Any, spec: PromptSpec, pool: Sequence[Example], longest: int | None, too_long: list[str]
) -> Iterator[Question]:
    """Those with short prompts. Cutting a prompt would take its start away, so the others go to `too_long`."""
    bos = own_bos(tokenizer)
    for example in pool:
        prompt = render_prompt(tokenizer, spec, example.question)
        ids = token_ids(tokenizer, prompt)
        check_single_bos(ids, bos, example.id)
        if longest is None or len(ids) <= longest:
            yield example, prompt
        else:
            too_long.append(example.id)


def _tell(recipe: Algorithm, run: Run, found: Filtered) -> None:
    kept = len(found.kept)
    if kept < recipe.prompts_per_generation:
        raise RecipeError(
            f"only {kept} of {found.drawn} questions are left to train on, but one generation batch takes "
            f"{recipe.prompts_per_generation}",
            hint="raise `train_samples`, widen `difficulty`, or lower `gradient_accumulation_steps`",
        )
    if recipe.difficulty is not None:
        samples = recipe.difficulty.samples
        text = f"difficulty: kept {kept} of {found.drawn} questions, by {samples} completions of each"
        run.events.message(text)
    if recipe.train_samples is not None and kept < recipe.train_samples:
        run.events.message(f"trains on {kept} questions instead of {recipe.train_samples}", "warning")


def lay_out(recipe: Algorithm, run: Run, questions: Sequence[Question]) -> tuple[Order, Dataset]:
    """The questions as the trainer is to see them, batch after batch, with what rewards need beside the prompt."""
    per_batch = recipe.prompts_per_generation
    batches = None
    if recipe.max_steps > 0:
        passes = recipe.max_steps * recipe.gradient_accumulation_steps
        batches = ceil(passes / (recipe.micro_batches * recipe.num_iterations))
    order = prompt_order(len(questions), per_batch, recipe.num_train_epochs, run.seed, batches)
    if order.filled:
        text = (
            f"{order.filled} questions are seen once more, to fill the last generation batch of {per_batch}"
        )
        run.events.message(text)
    rows = [
        {
            "prompt": prompt,
            "answer": example.answer,
            "written_answer": example.written_answer or example.answer,
            "id": example.id,
        }
        for example, prompt in questions
    ]
    return order, Dataset.from_list([rows[position] for position in order.positions])
