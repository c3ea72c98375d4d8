"""Cards through NVML, the library behind `nvidia-smi`.

A board in MIG mode cannot be used as a whole: its parts are the cards. What a board does not tell (some have no power
sensor, parts have no utilisation) is None; a board that does not tell who uses it is unclear, and not given out.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from daemon.gpus.cards import Card, Driver, GpuProcess

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Device:
    """A handle to a card, and to the board that it is on (the same, without MIG)."""

    handle: Any
    board: Any
    index: str
    uuid: str
    name: str


def open_nvml() -> Driver:
    """A reader of all cards. The library stays open, so that reading costs a few milliseconds."""
    import pynvml  # noqa: PLC0415 - only the daemon talks to the driver

    try:
        pynvml.nvmlInit()
        devices = list(_devices(pynvml))
    except pynvml.NVMLError as error:
        log.info("no GPUs: %s", error)
        return list
    return lambda: [_read(pynvml, device) for device in devices]


def _devices(nvml: Any) -> Iterator[_Device]:
    for number in range(nvml.nvmlDeviceGetCount()):
        board = nvml.nvmlDeviceGetHandleByIndex(number)
        name = str(nvml.nvmlDeviceGetName(board))
        if not _in_mig_mode(nvml, board):
            yield _Device(board, board, str(number), str(nvml.nvmlDeviceGetUUID(board)), name)
            continue
        for part in range(nvml.nvmlDeviceGetMaxMigDeviceCount(board)):
            try:
                handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(board, part)
            except nvml.NVMLError:
                continue  # places for parts that were not made
            uuid = str(nvml.nvmlDeviceGetUUID(handle))
            yield _Device(handle, board, f"{number}:{part}", uuid, str(nvml.nvmlDeviceGetName(handle)))


def _in_mig_mode(nvml: Any, board: Any) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(board)[0] == nvml.NVML_DEVICE_MIG_ENABLE)
    except nvml.NVMLError:
        return False  # boards that know no MIG


def _read(nvml: Any, device: _Device) -> Card:
    def ask(question: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except nvml.NVMLError:
            return None

    memory = _memory(nvml, device.handle)
    computing = ask(nvml.nvmlDeviceGetComputeRunningProcesses, device.handle)
    drawing = ask(nvml.nvmlDeviceGetGraphicsRunningProcesses, device.handle) or []
    rates = ask(nvml.nvmlDeviceGetUtilizationRates, device.handle)
    milliwatts = ask(nvml.nvmlDeviceGetPowerUsage, device.board)
    degrees = ask(nvml.nvmlDeviceGetTemperature, device.board, nvml.NVML_TEMPERATURE_GPU)
    return Card(
        uuid=device.uuid,
        name=device.name,
        index=device.index,
        memory_bytes=memory.total if memory else None,
        used_bytes=memory.used if memory else None,
        processes=None if computing is None else tuple(GpuProcess(p.pid, p.usedGpuMemory) for p in computing),
        unexplained_bytes=_unexplained(memory.used, [*(computing or []), *drawing]) if memory else 0,
        util_percent=float(rates.gpu) if rates else None,
        power_watts=None if milliwatts is None else milliwatts / 1000,
        temperature_celsius=None if degrees is None else float(degrees),
    )


def _memory(nvml: Any, handle: Any) -> Any:
    """Total and used bytes. The second version does not count what the driver keeps for itself as used; old drivers lack it."""
    try:
        return nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    except (nvml.NVMLError, AttributeError):
        pass
    try:
        return nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None  # some boards share the machine's memory and have none of their own to report


def _unexplained(used: int, processes: list[Any]) -> int:
    """Bytes in use beyond what its processes have; 0 where one of them does not say how much that is."""
    shares: dict[int, int | None] = {process.pid: process.usedGpuMemory for process in processes}
    if None in shares.values():
        return 0
    return max(0, used - sum(share or 0 for share in shares.values()))
