"""How a person left the cockpit (order, filter, charts, theme), so that it opens that way again.

    {"queue": {"order": "newest"}, "app": {"theme": "nord"}}

Kept in `view.json` of the home directory. It is a convenience: one that cannot be read or written is as good as none.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

FILE = "view.json"


class ViewState:
    """A few words and numbers for each screen."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE
        self._kept = _read(self._path)

    def of(self, screen: str) -> dict[str, Any]:
        """What a screen left. Somebody may have edited the file: every value is to be checked where it is used."""
        kept = self._kept.get(screen)
        return dict(kept) if isinstance(kept, dict) else {}

    def leave(self, screen: str, **values: Any) -> None:
        """Keeps values of a screen, beside those that it left before. Other cockpits may have left theirs meanwhile."""
        self._kept = _read(self._path) | {screen: self.of(screen) | values}
        temporary = self._path.with_name(f"{FILE}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(self._kept, indent=1))
            temporary.chmod(0o600)
            temporary.replace(self._path)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
