"""Attempts that two processes share, without the seconds that each would take to import torch."""

import json
import multiprocessing
import runpy
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODULES = ["engines.training.supervised", "engines.training.grpo_trainer", "engines.generation.hf"]


@pytest.fixture(scope="session")
def in_processes() -> Callable[..., list[int]]:
    """Runs a script with arguments in two processes that are told of each other; gives their exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)

    def run(script: Path, *arguments: str) -> list[int]:
        told = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
        told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        processes = []
        for rank in ("0", "1"):
            given = (*arguments, told | {"RANK": rank, "LOCAL_RANK": rank})
            process = context.Process(target=runpy.run_path, args=(str(script), {"arguments": given}))
            process.start()
            processes.append(process)
        for process in processes:
            process.join(120)
            if process.exitcode is None:
                process.kill()
                process.join()
        return [process.exitcode for process in processes]  # type: ignore[misc]

    return run


@pytest.fixture(scope="session")
def attempt(in_processes: Callable[..., list[int]]) -> Callable[..., list[int]]:
    """Runs one attempt of a job in two processes, as their launcher would start them; gives their exit codes."""

    def run(run_dir: Path, recipe: Any, where: str = "") -> list[int]:
        write_attempt(run_dir, recipe)
        return in_processes(Path(__file__).with_name("rank_worker.py"), str(run_dir), where)

    return run


def write_attempt(run_dir: Path, recipe: Any) -> None:
    """What the daemon leaves for a worker, the newest attempt's number included."""
    run_dir.mkdir(parents=True, exist_ok=True)
    launch = run_dir / "launch.json"
    number = json.loads(launch.read_text())["attempt"] + 1 if launch.exists() else 1
    (run_dir / "recipe.yaml").write_text(recipe.model_dump_json(by_alias=True))
    launch.write_text(json.dumps({"attempt": number, "name": "job", "inputs": {}}))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
