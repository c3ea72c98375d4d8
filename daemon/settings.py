"""`config.yaml` of the home directory: what a person has decided about this machine. Read once, when the daemon starts.

Each section is described where it is used.
"""

from pathlib import Path

from pydantic import ValidationError

from daemon.gpus.settings import GpuSettings
from daemon.log_files import LogSettings
from daemon.notices import Notices
from daemon.slurm.settings import SlurmSettings
from engines.recipe.blocks import Block
from engines.recipe.document import read_document
from engines.recipe.errors import RecipeError
from engines.recipe.times import Age
from engines.recipe.wording import explain


class KeepSettings(Block):
    """How long what grows is kept; what is left out stays for ever."""

    checkpoints: Age | None = None
    runs: Age | None = None
    models: Age | None = None
    orphans: Age | None = None
    cache: Age | None = None
    databases: Age | None = None

    def ages(self) -> dict[str, float]:
        """Seconds, by the kinds of `store/retention.py` that are not kept for ever."""
        return {kind: age for kind, age in self if age is not None}


class Settings(Block):
    """The sections of the file; all may be left out."""

    gpus: GpuSettings = GpuSettings()
    """See daemon/gpus/settings.py."""
    on_end: Notices = []
    """See daemon/notices.py."""
    keep: KeepSettings = KeepSettings()
    """See daemon/keeping.py."""
    logs: LogSettings = LogSettings()
    """See daemon/log_files.py."""
    slurm: SlurmSettings = SlurmSettings()
    """See daemon/slurm/settings.py."""


def read_settings(path: Path) -> Settings:
    """The settings of a config file; the defaults where there is none. RecipeError where it is wrong."""
    if not path.exists():
        return Settings()
    try:
        return Settings.model_validate(read_document(path).data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        wrongs = [(".".join(map(str, wrong["loc"])), *explain(Settings, wrong)) for wrong in found]
        hint = next(
            (hint for *_, hint in wrongs if hint),
            "daemon and jobs are untouched; mend the file and start again",
        )
        raise RecipeError(
            "; ".join(f"{path}: {where}: {what}" for where, what, _ in wrongs), hint=hint
        ) from error
