"""The batch script of one attempt, as text: its options, the modules, the set-up, and the supervisor in place of the shell.

The supervisor takes the shell's place (`exec`), so the signal before the time limit reaches it and nobody else.
"""

import shlex
import sys
from pathlib import Path
from typing import Any

from daemon.slurm.settings import Profile
from engines.recipe.sizes import bytes_of
from engines.recipe.times import minutes_of

SCRIPT_NAME = "sbatch-{}.sh"
MARGIN_SECONDS = 5
"""Of the time between signal and limit, what is left to end the worker and to write down how it ended."""

_FIND_MODULE = """\
if ! type module >/dev/null 2>&1; then
    for file in "$MODULESHOME/init/bash" "$LMOD_PKG/init/bash" /etc/profile.d/lmod.sh /etc/profile.d/modules.sh \\
        /usr/share/lmod/lmod/init/bash /usr/share/modules/init/bash; do
        if [ -r "$file" ]; then . "$file"; break; fi
    done
fi
"""


def path_of(run_dir: Path, attempt: int) -> Path:
    return run_dir / SCRIPT_NAME.format(attempt)


def write(path: Path, text: str) -> None:
    """Whole or not at all: a script that is there may have been submitted."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(path)


def text_of(profile: Profile, resources: dict[str, Any], name: str, run_dir: Path, attempt: int) -> str:
    """The text of `sbatch-<attempt>.sh`. `resources` is the recipe's block, which goes before the profile."""
    options = [f"#SBATCH --{option}" for option in _options(profile, resources, name)]
    options += [f"#SBATCH {option}" for option in profile.options]
    node = [sys.executable, "-P", "-m", "daemon.slurm.node", str(run_dir), str(attempt)]
    return "\n".join(
        [
            "#!/bin/bash",
            *options,
            "umask 077",
            f"cd {shlex.quote(str(run_dir))} && exec >>worker.log 2>&1 || exit 1",
            *_modules(profile.modules),
            *profile.setup,
            f"exec {shlex.join(node)}",
            "",
        ]
    )


def signal_seconds(profile: Profile, resources: dict[str, Any]) -> int:
    """How long before the limit the job is asked to stop."""
    limit = _minutes(profile, resources)
    return profile.signal_seconds if limit is None else min(profile.signal_seconds, limit * 30)


def grace_seconds(profile: Profile, resources: dict[str, Any]) -> float:
    """How long a worker that was asked to stop may take."""
    return max(1.0, signal_seconds(profile, resources) - MARGIN_SECONDS)


def limit_of(profile: Profile | None, resources: dict[str, Any]) -> str:
    """The time limit in words."""
    minutes = _minutes(profile, resources) if profile else None
    return "time limit" if minutes is None else f"time limit of {minutes} min"


def _options(profile: Profile, resources: dict[str, Any], name: str) -> list[str]:
    gpus = profile.gpus if resources["gpus"] == "auto" else resources["gpus"]
    minutes = _minutes(profile, resources)
    kind = f":{profile.gpu_type}" if profile.gpu_type else ""
    wanted = {
        "account": profile.account,
        "partition": profile.partition,
        "qos": profile.qos,
        "gres": f"gpu{kind}:{gpus}" if gpus else None,
        "mem": f"{-(-bytes_of(profile.memory) // (1 << 20))}M" if profile.memory else None,
        "time": minutes,
    }
    return [
        f"job-name={name}",
        # The shell goes there itself: Slurm would search the paths for patterns like %j, and take backslashes out.
        "output=/dev/null",
        "chdir=/",
        "export=ALL",  # of what sbatch itself was given, which is little: see `commands.py`
        "no-requeue",  # an attempt runs once; whether there is another one is the daemon's decision
        "nodes=1",
        "ntasks=1",
        f"cpus-per-task={profile.cpus}",
        f"signal=B:USR1@{signal_seconds(profile, resources)}",
        *(f"{option}={value}" for option, value in wanted.items() if value is not None),
    ]


def _minutes(profile: Profile, resources: dict[str, Any]) -> int | None:
    text = resources.get("time") or profile.time
    return None if text is None else minutes_of(text)


def _modules(modules: list[str]) -> list[str]:
    failed = 'echo "tunedeck: the module {0} cannot be loaded" >&2; exit 1'
    loads = [f"module load {module} || {{ {failed.format(module)}; }}" for module in modules]
    return [_FIND_MODULE.rstrip(), *loads] if modules else []
