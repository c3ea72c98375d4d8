"""Amounts of memory as people write them: `20GiB`, `512MiB`, `16GB`."""

import re
from typing import Annotated

from pydantic import AfterValidator

UNITS = {"MiB": 1 << 20, "GiB": 1 << 30, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(MiB|GiB|MB|GB)")


def bytes_of(size: str) -> int:
    """How many bytes that is. ValueError where it is no size."""
    match = _SIZE.fullmatch(size.strip())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"`{size}` is no amount of memory; write it like 20GiB or 512MiB")
    return int(float(match[1]) * UNITS[match[2]])


def _checked(size: str) -> str:
    bytes_of(size)
    return size


Size = Annotated[str, AfterValidator(_checked)]
"""Text that `bytes_of` understands."""
