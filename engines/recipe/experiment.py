"""What a recipe says about all of its jobs together, beside `name` and `jobs`."""

from typing import Any

from pydantic import Field, ValidationError, field_validator

from engines.recipe.blocks import Block
from engines.recipe.cron import trigger_of
from engines.recipe.report import Report
from engines.recipe.wording import explain


class HoldAfterBlock(Block):
    """When failures hold back the rest of a sweep."""

    failures: int = Field(3, ge=1, le=1000)
    """After so many failed jobs."""
    seconds: float = Field(60.0, gt=0, le=1e6)
    """Only those count that failed within so many seconds of their start."""


class ExperimentBlock(Block):
    """Fields at the top of a recipe, whatever its shape."""

    cron: str | None = None
    """Queue the recipe again and again: minute, hour, day, month and weekday as in a crontab, such as `0 22 * * 1-5`."""
    hold_after: HoldAfterBlock | None = None
    """Hold the waiting jobs once several have failed right after their start. Null: never."""

    @field_validator("cron")
    @classmethod
    def _is_a_cron_line(cls, value: str | None) -> str | None:
        if value is not None:
            trigger_of(value)
        return value


EXPERIMENT_KEYS = tuple(ExperimentBlock.model_fields)


def experiment_of(data: Any, report: Report) -> ExperimentBlock:
    """The block of a recipe's data. What is wrong with it goes to the report."""
    if not isinstance(data, dict):
        return ExperimentBlock()
    try:
        return ExperimentBlock.model_validate({key: data[key] for key in EXPERIMENT_KEYS if key in data})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            text, hint = explain(ExperimentBlock, detail)
            report.add(detail["loc"], text, hint)
        return ExperimentBlock()
