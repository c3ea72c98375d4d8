"""The suite's tasks by name, and the published selections of them.

The lists differ between sources. GURU's validation during training has 13 tasks, two of which (`amc`, `ordering`) its
final table leaves out; its final evaluation has 19, which its table counts as 17, LiveBench's three parts being one.
"""

from engines.recipe.errors import RecipeError
from engines.suite import (
    choice_tasks,
    code_tasks,
    ifeval_task,
    livebench_tasks,
    logic_tasks,
    math_tasks,
    simulation_tasks,
    tabular_tasks,
)
from engines.suite.gym_process import check_installed
from engines.suite.gym_tasks import GYM
from engines.suite.item import SuiteTask
from engines.suite.micro_tasks import MICRO_TASKS

_ALL: tuple[SuiteTask, ...] = (
    *math_tasks.TASKS,
    *choice_tasks.TASKS,
    *logic_tasks.TASKS,
    *tabular_tasks.TASKS,
    *ifeval_task.TASKS,
    *livebench_tasks.TASKS,
    *code_tasks.TASKS,
    *simulation_tasks.TASKS,
    *MICRO_TASKS,
)
SUITE: dict[str, SuiteTask] = {task.name: task for task in _ALL}
"""All that need nothing but Tunedeck; `suite_task` also knows those of reasoning-gym."""

_BOTH = (
    "aime", "math500", "humaneval", "mbpp", "livecodebench", "supergpqa", "arcagi1", "zebra", "codeio", "hitab",
    "multihier",
)  # fmt: skip
_LIVEBENCH = ("livebench_reasoning", "livebench_language", "livebench_data_analysis")
_FINAL = ("gpqa_diamond", "cruxeval_i", "cruxeval_o", "finqa", "ifeval", *_LIVEBENCH)
MICRO = tuple(task.name for task in MICRO_TASKS)

PRESETS: dict[str, tuple[str, ...]] = {
    "guru13": (*_BOTH, "amc", "ordering"),
    "guru17": (*_BOTH, *_FINAL),
    "guru19": (*_BOTH, *_FINAL),
    "all21": (*_BOTH, *_FINAL, "amc", "ordering"),
    "micro6": MICRO,
}
"""`guru17` and `guru19` ask the same questions; `guru17` counts LiveBench's parts as one task in the mean."""


def suite_task(name: str) -> SuiteTask:
    """The task of this name. Raises RecipeError for an unknown one, and for one whose package is not installed."""
    if name in GYM:
        check_installed(name)
        return GYM[name]
    if name not in SUITE:
        allowed = ", ".join(sorted({*SUITE, *GYM}))
        raise RecipeError(f"{name!r} is no task of the suite", hint=f"tasks: {allowed}")
    return SUITE[name]
