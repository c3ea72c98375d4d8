"""One process of several that share an attempt; forked by `attempt` from a server that has imported the training stack.

`where` is a place at which one of them is met by a signal: `kill RANK STEP` and `stop RANK STEP`, in the middle of an
optimizer step.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from engines.__main__ import main
from engines.training.callbacks import StopOnRequest

run_dir, where, environment = arguments  # type: ignore[name-defined]  # noqa: F821
os.environ |= environment
what, rank, step = [*where.split(), "", "", ""][:3]


def meet_signal(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
    if environment["RANK"] == rank and state.global_step == int(step) - 1:
        os.kill(os.getpid(), signal.SIGKILL if what == "kill" else signal.SIGTERM)


StopOnRequest.on_pre_optimizer_step = meet_signal  # type: ignore[method-assign]
sys.exit(main(Path(run_dir)))
