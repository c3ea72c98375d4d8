"""A card as the driver shows it, and where that is read from.

`TUNEDECK_GPUS_FILE` names a JSON file that stands in for the driver, to try out a placement on a machine without GPUs;
the tests do. It holds a list of cards with the fields of `Card`, and is read again each time.
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FILE_VARIABLE = "TUNEDECK_GPUS_FILE"


@dataclass(frozen=True)
class GpuProcess:
    """A process that computes on a card. `memory_bytes` is None where the driver does not say."""

    pid: int
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Card:
    """A GPU, or a part of one that the driver shows as a device of its own (MIG). None: the driver does not say."""

    uuid: str
    name: str
    index: str = ""
    """Its place among the boards: `0`, or `0:1` for the second MIG part of the first board."""
    memory_bytes: int | None = None
    used_bytes: int | None = None
    processes: tuple[GpuProcess, ...] | None = ()
    unexplained_bytes: int = 0
    """Memory in use that no process accounts for."""
    util_percent: float | None = None
    power_watts: float | None = None
    temperature_celsius: float | None = None


Driver = Callable[[], list[Card]]
"""Reads the cards as they are now."""


def open_driver() -> Driver:
    """The NVIDIA driver, or the file that stands in for it. Without either there are no cards."""
    if stand_in := os.environ.get(FILE_VARIABLE):
        return lambda: read_file(Path(stand_in))
    from daemon.gpus.nvml import open_nvml  # noqa: PLC0415 - only where no file stands in

    return open_nvml()


def pretended(count: int) -> Driver:
    """Cards that do not exist and that nobody uses, to try the queue on a machine without any."""
    cards = [Card(f"GPU-pretend-{i}", "pretend", str(i), 1 << 30, 0) for i in range(count)]
    return lambda: cards


def read_file(path: Path) -> list[Card]:
    """Cards from a JSON file. Missing or half written, it is a driver that shows none."""
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        log.warning("%s: %s", path, error)
        return []
    return [_card(entry) for entry in entries]


def _card(entry: dict[str, Any]) -> Card:
    processes = entry.get("processes", [])
    known = None if processes is None else tuple(GpuProcess(**process) for process in processes)
    return Card(**entry | {"processes": known})
