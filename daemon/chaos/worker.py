"""The worker of the trials: logs metrics, keeps a checkpoint and a diary, and holds a lock on whatever it was given.

    python -I -S worker.py WITNESS SLOTS STEPS SECONDS EXIT_CODE

Two processes that hold the same job, the same GPU or one CPU slot too many meet at a lock below WITNESS, and say so
there. A child holds the locks too, as data loaders hold their parent's GPU: what is left of a job counts as the job.
"""

import fcntl
import json
import os
import sys
import time


def main(witness: str, slots: int, steps: int, seconds: float, exit_code: int) -> None:
    run_dir = os.environ["TUNEDECK_RUN_DIR"]
    with open(f"{run_dir}/launch.json") as file:
        launch = json.load(file)
    attempt = launch["attempt"]
    _append(f"{run_dir}/diary", f"start {attempt}")
    if not _takes([f"{witness}/job-{launch['job']}.lock"]):
        _append(f"{witness}/meetings", f"two processes of job {launch['job']} at once")
    devices = os.environ["CUDA_VISIBLE_DEVICES"]
    for device in devices.split(",") if devices else ():
        if not _takes([f"{witness}/{device}.lock"]):
            _append(f"{witness}/meetings", f"{device} is booked twice, job {launch['job']} is one of them")
    if not devices and not _takes([f"{witness}/slot-{i}.lock" for i in range(slots)]):
        _append(f"{witness}/meetings", f"more jobs than slots, job {launch['job']} is one of them")
    if os.fork() == 0:
        while True:
            time.sleep(60)
    _work(run_dir, attempt, steps, seconds / steps)
    _append(f"{run_dir}/diary", f"end {attempt} {exit_code}")
    os._exit(exit_code)


def _work(run_dir: str, attempt: int, steps: int, pause: float) -> None:
    """Steps after the newest checkpoint, each with one metric."""
    events = os.open(f"{run_dir}/events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    done = 0
    if os.path.exists(f"{run_dir}/state"):
        with open(f"{run_dir}/state") as file:
            done = int(file.read())

    def say(kind: str, **fields: object) -> None:
        os.write(events, json.dumps({"kind": kind, "time": time.time(), **fields}).encode() + b"\n")

    say("started", attempt=attempt, resume_step=done or None)
    for step in range(done + 1, steps + 1):
        say("metrics", step=step, values={"loss": 1 / step, "step": step})
        if step % 10 == 0:
            with open(f"{run_dir}/state.tmp", "w") as file:
                file.write(str(step))
            os.rename(f"{run_dir}/state.tmp", f"{run_dir}/state")
        time.sleep(pause)


_held: list[int] = []


def _takes(paths: list[str]) -> bool:
    """Locks the first of the files that is free, for as long as this process and its children live."""
    for path in paths:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _held.append(lock)
        return True
    return False


def _append(path: str, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{line}\n".encode())
    os.close(file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
