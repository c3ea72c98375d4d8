"""Which GPUs the machine has, by UUID."""

import logging
from typing import Any

log = logging.getLogger(__name__)


def list_gpus() -> list[dict[str, Any]]:
    """{uuid, name, memory_bytes} of every GPU; empty where there is no NVIDIA driver."""
    import pynvml  # noqa: PLC0415 - only the daemon talks to the driver

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        log.info("no GPUs: %s", error)
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [
            {
                "uuid": pynvml.nvmlDeviceGetUUID(handle),
                "name": pynvml.nvmlDeviceGetName(handle),
                "memory_bytes": _memory_bytes(handle),
            }
            for handle in handles
        ]
    finally:
        pynvml.nvmlShutdown()


def pretend_gpus(count: int) -> list[dict[str, Any]]:
    """GPUs that do not exist, to try the queue on a machine without any."""
    return [{"uuid": f"GPU-pretend-{i}", "name": "pretend", "memory_bytes": 1 << 30} for i in range(count)]


def _memory_bytes(handle: Any) -> int | None:
    """Some boards share the machine's memory and have none of their own to report."""
    import pynvml  # noqa: PLC0415

    try:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
    except pynvml.NVMLError_NotSupported:
        return None
