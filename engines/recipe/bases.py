"""Which model a job starts from in the end, through all the jobs of its recipe that train it further."""

from engines.recipe.blocks import ModelBlock
from engines.recipe.errors import RecipeError
from engines.recipe.expand import JobPlan, Plan


def base_model(plan: Plan, job: JobPlan) -> ModelBlock:
    """The block of the model that nothing in the recipe trains, with the chat template that the job would see.

    Training changes neither tokenizer nor template, but a job on the way may bring a template of its own.
    """
    by_name = {one.name: one for one in plan.jobs}
    template = None
    while isinstance(block := getattr(job.recipe, "model", None), ModelBlock):
        template = template or block.chat_template
        if block.from_ is None:
            return block.model_copy(update={"chat_template": template})
        job = by_name[next(name for name, alias in job.needs if alias == block.from_)]
    raise RecipeError(
        f"job `{job.name}` ({job.engine}) makes the tokenizer when it runs, so there is none to show anything with yet",
        hint="when it has run, name the directory of its model: --set 'jobs.NAME.model={base: DIRECTORY}'",
    )
