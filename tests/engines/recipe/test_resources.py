"""How many processes a job may ask for, said before it is queued."""

import pytest

from engines.recipe.blocks import ResourcesBlock
from engines.recipe.document import parse_document
from engines.recipe.errors import InvalidRecipeError
from engines.recipe.expand import Plan, expand

SFT = "model: {base: pocket}\ntask: pocket-math\n"


def plan(text: str) -> Plan:
    return expand(parse_document(text, "r.yaml"), "r", ())


def problems(text: str) -> str:
    with pytest.raises(InvalidRecipeError) as caught:
        plan(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 1),
        ({"gpus": 0}, 1),
        ({"gpus": 1}, 1),
        ({"gpus": 4}, 4),
        ({"gpus": 2, "processes": 2}, 2),
        ({"gpus": 0, "processes": 3}, 3),
    ],
)
def test_there_is_a_process_for_each_gpu_unless_a_job_on_the_cpu_says_more(
    fields: dict[str, int], count: int
) -> None:
    assert ResourcesBlock.model_validate(fields).process_count == count


@pytest.mark.parametrize("engine", ["eval", "traces", "step_jepa", "tpt"])
@pytest.mark.parametrize("resources", ["{gpus: 2}", "{gpus: 0, processes: 2}"])
def test_engines_of_one_process_refuse_more_at_once(engine: str, resources: str) -> None:
    said = problems(f"engine: {engine}\n{SFT}resources: {resources}\n")

    assert "this engine is one process on one GPU" in said and "resources: {gpus: 1}" in said


@pytest.mark.parametrize("engine", ["sft", "grpo"])
def test_engines_that_share_their_work_take_more(engine: str) -> None:
    assert (
        plan(f"engine: {engine}\n{SFT}resources: {{gpus: 2}}\n").jobs[0].recipe.resources.process_count == 2
    )


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ("{gpus: 2, processes: 4}", "both numbers must be the same"),
        ("{processes: 2}", "needs `gpus: 2`, or `gpus: 0`"),
        ("{gpus: 0, processes: 0}", "greater than or equal to 1"),
    ],
)
def test_processes_that_would_have_no_device_are_refused(resources: str, text: str) -> None:
    assert text in problems(f"engine: sft\n{SFT}resources: {resources}\n")


def test_a_command_may_have_many_gpus_and_starts_its_processes_itself() -> None:
    assert plan("engine: command\nargv: [torchrun]\nresources: {gpus: 8}\n").jobs
    said = problems("engine: command\nargv: [x]\nresources: {gpus: 0, processes: 2}\n")
    assert "starts its processes itself" in said


@pytest.mark.parametrize(
    ("trained", "taken"), [("{gpus: 4, gpu_memory: 20GiB}", 1), ("{gpus: 0, processes: 2}", 0)]
)
def test_the_evaluation_of_a_shared_training_is_one_process(trained: str, taken: int) -> None:
    resources = plan(f"engine: sft\n{SFT}eval: true\nresources: {trained}\n").jobs[1].recipe.resources

    assert (resources.process_count, resources.gpus) == (1, taken)


def test_the_questions_of_a_generation_batch_are_those_of_all_processes() -> None:
    body = f"engine: grpo\n{SFT}num_generations: 4\nper_device_train_batch_size: 4\ngradient_accumulation_steps: 2\n"
    alone, shared = (plan(body + more).jobs[0].recipe for more in ("", "resources: {gpus: 3}\n"))

    assert (alone.prompts_per_generation, shared.prompts_per_generation) == (2, 6)  # type: ignore[attr-defined]
