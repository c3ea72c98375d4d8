"""Files that say that a stage is done: each is whole or absent, and names what it was made from.

What takes long is written line by line as it comes, to a journal beside the file; a killed run goes on behind its last
line, and the file that is made in the end is the same.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from engines.generation.append_only import append_lines, read_lines
from engines.recipe.errors import RecipeError
from engines.run import write_whole

Batches = Iterable[list[tuple[int, dict[str, Any]]]]
"""Rows with their places, as they are made."""


class StopRequested(Exception):  # noqa: N818 (no error)
    """The job was asked to stop; everything that is done is in files."""


Tick = Callable[[float], None]
"""Told the share of a stage that is done; raises StopRequested where the job was asked to stop and there is more to do."""


def hash_of(value: Any) -> str:
    """64 hex characters of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def kept(path: Path, inputs: Any, make: Callable[[], Any]) -> Any:
    """What the file holds, or what `make` gives, which is then written to it with a hash of its inputs."""
    wanted = hash_of(inputs)
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        _require(path, found["inputs"], wanted)
        return found["result"]
    result = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"inputs": wanted, "result": result}, indent=1) + "\n")
    return json.loads(json.dumps(result))


def kept_rows(
    path: Path, inputs: Any, keys: Sequence[str], make: Callable[[list[int]], Batches], tick: Tick
) -> list[dict[str, Any]]:
    """The rows of a JSONL file, one a key in their order, or those that `make` gives for the missing places.

    The first line of the file holds the hash of the inputs; each row of the journal does, so that no other's are taken."""
    wanted = hash_of([inputs, list(keys)])
    if path.is_file():
        head, *rows = read_lines(path)
        _require(path, head["inputs"], wanted)
        return rows
    path.parent.mkdir(parents=True, exist_ok=True)
    journal = path.with_name(path.name + ".journal")
    places = {key: place for place, key in enumerate(keys)}
    found = {
        places[line["key"]]: line["row"]
        for line in read_lines(journal)
        if line.get("inputs") == wanted and line["key"] in places
    }
    missing = [place for place in range(len(keys)) if place not in found]
    if missing:
        tick(len(found) / len(keys))
        for batch in make(missing):
            append_lines(
                journal, ({"inputs": wanted, "key": keys[place], "row": row} for place, row in batch)
            )
            found.update(batch)
            tick(len(found) / len(keys))
    rows = [found[place] for place in range(len(keys))]
    write_jsonl(path, [{"inputs": wanted}, *rows])
    journal.unlink(missing_ok=True)
    return rows


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(value, indent=2) + "\n")


def _require(path: Path, found: str, wanted: str) -> None:
    if found != wanted:
        raise RecipeError(
            f"steering: {path.name} in this run directory was made from other inputs",
            hint="a retry goes on with the same recipe, data and model; queue a new job for others",
        )
