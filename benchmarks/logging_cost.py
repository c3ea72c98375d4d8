"""What logging a step costs the trainer: 20,000 steps of 5 scalars, Tunedeck against its peers, in one run.

    python benchmarks/logging_cost.py [--steps 20000] [--python PYTHON_WITH_THE_PEERS]

Each peer runs in a process of its own and is killed with SIGKILL right after the last step; for Tunedeck, what its file
then holds is counted. A peer that is not installed is left out.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parent.parent
NAMES = ("loss", "grad_norm", "learning_rate", "entropy", "epoch")
Log = Callable[[int, dict[str, float]], None]


def tunedeck(folder: Path) -> Log:
    from engines.events import EventWriter

    return EventWriter(folder).metrics


def trackio(folder: Path) -> Log:
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio as peer

    peer.init(project="bench")
    return lambda step, values: peer.log(values, step=step)


def wandb_offline(folder: Path) -> Log:
    os.environ["WANDB_SILENT"] = "true"
    import wandb

    run = wandb.init(mode="offline", dir=folder, settings=wandb.Settings(x_disable_stats=True))
    return lambda step, values: run.log(values, step=step)


def tensorboard(folder: Path) -> Log:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))

    def log(step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return log


def mlflow_sync(folder: Path) -> Log:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.start_run()
    return lambda step, values: mlflow.log_metrics(values, step=step)


def mlflow_async(folder: Path) -> Log:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.start_run()
    return lambda step, values: mlflow.log_metrics(values, step=step, synchronous=False)


PEERS: dict[str, tuple[Callable[[Path], Log], int]] = {
    "tunedeck": (tunedeck, 1),
    "trackio": (trackio, 1),
    "wandb_offline": (wandb_offline, 1),
    "tensorboard": (tensorboard, 1),
    "mlflow_async": (mlflow_async, 20),
    "mlflow_sync": (mlflow_sync, 40),
}
"""Each with a divisor of the number of steps: the slow ones are measured on fewer."""


def measure(peer: str, steps: int, folder: Path) -> None:
    """Runs inside the peer's own process: prints the microseconds of each call."""
    log = PEERS[peer][0](folder)
    times = []
    for step in range(steps):
        values = {name: 1.0 / (step + i + 1) for i, name in enumerate(NAMES)}
        started = time.perf_counter_ns()
        log(step, values)
        times.append((time.perf_counter_ns() - started) / 1000)
    cut = quantiles(times, n=100)
    print(json.dumps({"median": median(times), "p99": cut[98]}), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)  # a peer that buffers loses here what it has not written


def kept_by_tunedeck(folder: Path) -> int:
    return len((folder / "events.jsonl").read_bytes().splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    default = ROOT / ".venv-bench" / "bin" / "python"
    parser.add_argument("--python", default=str(default) if default.exists() else sys.executable)
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        measure(arguments.peer, arguments.steps, arguments.folder)
        return
    print(f"{'logger':<14} {'us a step, median':>18} {'p99':>9} {'ratio':>7}   steps")
    ours = 0.0
    for peer, (_make, divisor) in PEERS.items():
        steps = arguments.steps // divisor
        python = sys.executable if peer == "tunedeck" else arguments.python
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [python, __file__, "--peer", peer, "--steps", str(steps), "--folder", folder],
                capture_output=True,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
            line = next((line for line in done.stdout.splitlines() if line.startswith('{"median"')), None)
            if line is None:
                print(f"{peer:<14} {'not installed' if 'ModuleNotFound' in done.stderr else 'failed':>18}")
                continue
            figures = json.loads(line)
            ours = ours or figures["median"]
            note = f"{steps:,}"
            if peer == "tunedeck":
                note += f", kept after kill -9: {kept_by_tunedeck(Path(folder)):,}"
            ratio = figures["median"] / ours
            print(f"{peer:<14} {figures['median']:>18.1f} {figures['p99']:>9.1f} {ratio:>6.1f}x   {note}")


if __name__ == "__main__":
    main()
