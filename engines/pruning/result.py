"""The model of one round as the model of the job."""

import json
import os
import shutil
from pathlib import Path

from engines.modeling.sources import LINEAGE_FILE, moved, read_lineage


def leave_model(trained: Path, result: Path) -> None:
    """Put the files of a round's model into the job's, without copying them where the file system can do that."""
    partial = result.with_name(result.name + ".partial")
    for leftover in (partial, result):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(trained, partial, copy_function=_link)
    history = moved(read_lineage(trained), trained, result)
    (partial / LINEAGE_FILE).unlink()  # it may be a link to the round's own
    (partial / LINEAGE_FILE).write_text(json.dumps(history, indent=2) + "\n", encoding="utf-8")
    partial.rename(result)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
