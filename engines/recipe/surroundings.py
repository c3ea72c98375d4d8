"""What a job runs on beside its recipe: Python, every installed package with its version, platform and driver.

Cheap enough to be taken at each submission and at each start of a worker; nothing is imported for it.
"""

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

DRIVER = Path("/proc/driver/nvidia/version")
MOST_DIFFERENCES = 12
"""That are spelt out; the others are counted."""


def surroundings() -> dict[str, Any]:
    """{"python", "platform", "driver", "packages": ["name==version", ...] in order}."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "driver": _driver(),
        "packages": installed(),
    }


def installed() -> list[str]:
    """Every installed package as `name==version`, in order; of several with one name, the one that is imported."""
    found: dict[str, str] = {}
    for one in distributions():
        name = (one.name or "").lower().replace("_", "-")
        found.setdefault(name, one.version)
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name]


def name_of(packages: list[str]) -> str:
    """16 hex characters that stand for a list of packages."""
    return hashlib.sha256("\n".join(packages).encode()).hexdigest()[:16]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two surroundings, in words: `torch 2.12.0 -> 2.13.0`. What one does not know is left out."""
    said = [
        f"{key} {before[key]} -> {now[key]}"
        for key in ("python", "platform", "driver")
        if before.get(key) and now.get(key) and before[key] != now[key]
    ]
    if before.get("packages") and now.get("packages"):
        old, new = (dict(line.split("==", 1) for line in one["packages"]) for one in (before, now))
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                said.append(f"{name} {old.get(name, '(absent)')} -> {new.get(name, '(absent)')}")
    return said


def shortened(said: list[str]) -> str:
    more = len(said) - MOST_DIFFERENCES
    return ", ".join(said[:MOST_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")


def _driver() -> str | None:
    """The version of NVIDIA's kernel module, where there is one."""
    try:
        words = DRIVER.read_text().partition("\n")[0].split()
    except OSError:
        return None
    return next((word for word in words if word[0].isdigit() and "." in word), None)
