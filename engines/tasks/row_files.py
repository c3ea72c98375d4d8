"""Rows of the hub's datasets and of local files (JSONL, also gzipped, JSON, Parquet), each with its place for messages."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engines.recipe.errors import RecipeError

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet")

Row = tuple[str, Any]
"""Where it stands (`file:17`), and what stands there."""


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of one file, or of a directory of JSON files with one row each, whose name becomes `id`.

    Raises RecipeError where the file is missing, of another kind, or not what its name says.
    """
    if path.is_dir():
        return _rows_of_directory(path)
    if not path.is_file():
        raise RecipeError(
            f"{path} does not exist", hint="check the path; it is relative to the recipe's caller"
        )
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _jsonl_rows(path)
    if path.suffix == ".json":
        return _json_rows(path)
    if path.suffix == ".parquet":
        return _parquet_rows(path)
    raise RecipeError(f"{path} is no data file", hint=f"files that can be read: {', '.join(SUFFIXES)}")


def hub_rows(dataset: str, config: str | None, split: str, instead: str = "task.path") -> Iterator[Row]:
    """The rows of a split of a dataset on the Hugging Face hub; `instead` is the field that names a local copy.

    Raises RecipeError where it cannot be had.
    """
    from datasets import load_dataset

    try:
        rows = load_dataset(dataset, config, split=split)
    except (OSError, ValueError) as error:  # no network, offline mode, or only another part in the cache
        raise RecipeError(
            f"{dataset} could not be read from the Hugging Face hub: {error}",
            hint=f"check the network (and HF_HUB_OFFLINE), or set {instead} to a local copy",
        ) from error
    for index, row in enumerate(rows):
        yield f"{dataset} {split} row {index}", row


def _rows_of_directory(path: Path) -> Iterator[Row]:
    files = sorted(path.glob("*.json"))
    if not files:
        raise RecipeError(
            f"{path} is a directory without JSON files",
            hint="name a data file, or a directory of .json files",
        )
    for file in files:
        yield str(file), {"id": file.stem, **_parsed(file)}


def _parsed(file: Path) -> dict[str, Any]:
    try:
        row = json.loads(file.read_bytes())
    except ValueError as error:
        raise RecipeError(
            f"{file}: not JSON: {error}", hint="the file is one JSON object, in UTF-8"
        ) from error
    if not isinstance(row, dict):
        raise RecipeError(
            f"{file}: {type(row).__name__}, where an object was expected", hint="one JSON object a file"
        )
    return row


def _jsonl_rows(file: Path) -> Iterator[Row]:
    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:  # not JSON, or not UTF-8
                raise RecipeError(
                    f"{file}:{number}: not JSON: {error}", hint="JSONL has one JSON object a line, in UTF-8"
                ) from error
            yield f"{file}:{number}", row


def _json_rows(file: Path) -> Iterator[Row]:
    try:
        rows = json.loads(file.read_bytes())
    except ValueError as error:
        raise RecipeError(
            f"{file}: not JSON: {error}", hint="the file is one JSON list of objects"
        ) from error
    if isinstance(rows, dict) and isinstance(rows.get("examples"), list):  # BIG-Bench's own form
        rows = rows["examples"]
    if not isinstance(rows, list):
        raise RecipeError(
            f"{file}: {type(rows).__name__}, where a list was expected", hint="one JSON list of objects"
        )
    for number, row in enumerate(rows, start=1):
        yield f"{file} row {number}", row


def _parquet_rows(file: Path) -> Iterator[Row]:
    import pyarrow.parquet
    from pyarrow import ArrowException

    try:
        rows = pyarrow.parquet.read_table(file).to_pylist()
    except (ArrowException, OSError) as error:
        raise RecipeError(
            f"{file}: not a Parquet file: {error}", hint="write it with pandas or datasets, or use JSONL"
        ) from error
    for number, row in enumerate(rows, start=1):
        yield f"{file}:{number}", row
