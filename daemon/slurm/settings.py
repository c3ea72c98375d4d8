"""`slurm:` in `config.yaml` of the home directory: the profiles that recipes name in `resources: {slurm: PROFILE}`.

slurm:
  poll_seconds: 15
  profiles:
    a100:
      account: llm
      partition: gpu
      gpus: 1                # 0 or 1; a recipe's `resources.gpus` goes before it
      gpu_type: a100
      cpus: 8
      memory: 64GiB
      time: 4h               # a recipe's `resources.time` goes before it
      modules: [cuda/12.4]
      setup: ["export HF_HOME=/scratch/$USER/hf"]
      options: ["--constraint=nvlink"]
      slots: 16              # jobs of ours that may be in Slurm at once
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from engines.recipe.blocks import Block
from engines.recipe.sizes import Size
from engines.recipe.times import Length

OURS = (
    "job-name", "output", "error", "open-mode", "chdir", "no-requeue", "requeue", "export", "export-file", "signal",
    "parsable", "wait", "wrap", "array", "hold", "nodes", "ntasks", "ntasks-per-node", "account", "partition", "qos",
    "gres", "gpus", "cpus-per-task", "mem", "time",
)  # fmt: skip
"""Options of sbatch that a profile cannot set by hand: each has a field, or an attempt would not be what we take it for."""
_OPTION = re.compile(r"--([a-z][a-z-]*)(=[^\n\r]*)?")
_WORD = re.compile(r"[A-Za-z0-9_.,:/@+-]+")


def _is_word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError("holds a space or a special character")
    return text


def _is_line(text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError("is more than one line; give a list of lines")
    return text


def _is_option(text: str) -> str:
    match = _OPTION.fullmatch(text)
    if match is None:
        raise ValueError("is no option of sbatch; write it like `--constraint=a100`")
    if any(name.startswith(match[1]) for name in OURS):  # sbatch takes abbreviations
        raise ValueError(
            f"`--{match[1]}` cannot be set here: it has a field of the profile, or is Tunedeck's"
        )
    return text


Word = Annotated[str, AfterValidator(_is_word)]
Line = Annotated[str, AfterValidator(_is_line)]
Option = Annotated[str, AfterValidator(_is_option)]


class Profile(Block):
    """What sbatch is asked for, and how many jobs at once. One node a job."""

    account: Word | None = None
    partition: Word | None = None
    qos: Word | None = None
    gpus: int = Field(0, ge=0, le=1)
    """What `gpus: auto` means here. More than one changes what a job computes, and so has to stand in its recipe."""
    gpu_type: Word | None = None
    cpus: int = Field(1, ge=1, le=4096)
    memory: Size | None = None
    time: Length | None = None
    modules: list[Word] = []
    """Loaded before the job starts."""
    setup: list[Line] = []
    """Lines of bash before the job starts. They stand in the run directory: no place for secrets."""
    options: list[Option] = []
    """Further options of sbatch."""
    signal_seconds: int = Field(120, ge=5, le=65535)
    """So long before the limit the job is asked to stop at a checkpoint; half of the limit at most. Slurm may be up to a
    minute early."""
    slots: int = Field(16, ge=0, le=10_000)


class SlurmSettings(Block):
    """Everything about Slurm."""

    profiles: dict[Word, Profile] = {}
    poll_seconds: float = Field(15.0, ge=0.1, le=3600)
    """Between two questions to Slurm; each is about all jobs, and none is asked while no job is there."""
    patience_seconds: float = Field(60.0, ge=0.5, le=86400)
    """So long a job that Slurm has ended or forgotten may take to show its record of that: shared directories lag."""
