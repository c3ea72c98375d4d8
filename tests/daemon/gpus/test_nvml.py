"""Reading cards through NVML. The library is played, as this is the driver's part; what we make of it is real."""

# ruff: noqa: N802, N815 - the names are the library's

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.gpus.cards import Card, GpuProcess
from daemon.gpus.nvml import open_nvml
from daemon.gpus.owners import GpuJob, describe, owner_of
from daemon.gpus.settings import GpuSettings
from daemon.gpus.survey import survey
from daemon.identity import identify

GIB = 1 << 30


class Library:
    """A driver with one plain board and one in MIG mode with two of seven parts made."""

    NVML_DEVICE_MIG_ENABLE = 1
    NVML_TEMPERATURE_GPU = 0
    nvmlMemory_v2 = 2

    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        self.running: dict[str, Any] = {"GPU-plain": [SimpleNamespace(pid=11, usedGpuMemory=4 * GIB)]}

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return ["GPU-plain", "GPU-parted"][index]

    def nvmlDeviceGetName(self, handle: str) -> str:
        return f"NVIDIA {handle}"

    def nvmlDeviceGetUUID(self, handle: str) -> str:
        return handle

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:
        if handle == "GPU-plain":
            raise self.NVMLError("Not Supported")
        return [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: str) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: str, index: int) -> str:
        if index not in (0, 3):
            raise self.NVMLError("Not Found")
        return f"MIG-{index}"

    def nvmlDeviceGetMemoryInfo(self, handle: str, version: int | None = None) -> Any:
        return SimpleNamespace(total=80 * GIB, used=10 * GIB)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> Any:
        if handle == "MIG-3":
            raise self.NVMLError("No Permission")
        return self.running.get(handle, [])

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: str) -> Any:
        return [SimpleNamespace(pid=12, usedGpuMemory=GIB)] if handle == "GPU-plain" else []

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        if handle.startswith("MIG"):
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(gpu=97, memory=40)

    def nvmlDeviceGetPowerUsage(self, board: str) -> int:
        return 312_500

    def nvmlDeviceGetTemperature(self, board: str, sensor: int) -> int:
        if board == "GPU-parted":
            raise self.NVMLError("Unknown")
        return 61


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setitem(sys.modules, "pynvml", library)  # type: ignore[arg-type]
    return library


def test_boards_and_mig_parts_are_cards_and_what_a_board_does_not_tell_is_missing(library: Library) -> None:
    plain, part, silent = open_nvml()()

    assert plain == Card(
        uuid="GPU-plain",
        name="NVIDIA GPU-plain",
        index="0",
        memory_bytes=80 * GIB,
        used_bytes=10 * GIB,
        processes=(GpuProcess(11, 4 * GIB),),
        unexplained_bytes=5 * GIB,  # of 10, one process computes in 4 and another draws in 1
        util_percent=97.0,
        power_watts=312.5,
        temperature_celsius=61.0,
    )
    assert (part.uuid, part.index, part.util_percent, part.power_watts) == ("MIG-0", "1:0", None, 312.5)
    assert (part.processes, part.temperature_celsius) == ((), None)
    assert (silent.uuid, silent.index, silent.processes) == ("MIG-3", "1:3", None)


def test_a_process_that_does_not_say_what_it_uses_leaves_nothing_unexplained(library: Library) -> None:
    library.running["GPU-plain"] = [SimpleNamespace(pid=11, usedGpuMemory=None)]

    assert open_nvml()()[0].unexplained_bytes == 0


def test_a_machine_without_a_driver_has_no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)

    assert open_nvml()() == []


def test_a_job_owns_its_worker_and_its_descendants_and_nobody_else(tmp_path: Any) -> None:
    worker = identify(os.getpid())
    job = GpuJob(5, 1, ("A",), worker, tmp_path, 0.0, 0.0)  # type: ignore[arg-type]
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert owner_of(os.getpid(), [job]) == 5
        assert owner_of(child.pid, [job]) == 5
        assert owner_of(1, [job]) is None
        gone = GpuJob(5, 1, ("A",), {**worker, "start_ticks": 1}, tmp_path, 0.0, 0.0)  # type: ignore[typeddict-item]
        assert owner_of(child.pid, [gone]) is None  # the same pid, and another process
        assert describe(child.pid).startswith(f"pid {child.pid} (python")
    finally:
        child.communicate()


def test_unclear_cards_can_be_allowed_but_a_foreign_process_never(tmp_path: Any) -> None:
    cards = [
        Card("A", "x", memory_bytes=80 * GIB, processes=None),
        Card("B", "x", memory_bytes=80 * GIB, unexplained_bytes=9 * GIB),
        Card("C", "x", memory_bytes=80 * GIB, processes=(GpuProcess(1),)),
    ]
    careful = survey(cards, [], {}, GpuSettings())
    bold = survey(cards, [], {}, GpuSettings(allow_unclear=True))

    assert (careful.usable, set(careful.blocked)) == ([], {"A", "B", "C"})
    assert (bold.usable, set(bold.blocked)) == (["A", "B"], {"C"})
    assert bold.memory == {"A": 79 * GIB, "B": 79 * GIB}
