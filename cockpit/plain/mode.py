"""Whether everything is to be said in words. One environment variable decides, so that it reaches every command."""

import os
from collections.abc import Mapping

VARIABLE = "TUNEDECK_PLAIN"


def is_plain(environ: Mapping[str, str] = os.environ) -> bool:
    return environ.get(VARIABLE, "") not in ("", "0")


def choose_plain() -> None:
    """From now on, for this process and those it starts."""
    os.environ[VARIABLE] = "1"
