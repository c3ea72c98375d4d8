"""Records in a run directory: small JSON files that their writer renames into place."""

import json
from pathlib import Path
from typing import Any


def read_record(path: Path) -> dict[str, Any] | None:
    """A record is there or not, never half, unless the job has spoilt it: then it counts as not there."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
