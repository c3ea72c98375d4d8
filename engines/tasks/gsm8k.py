"""GSM8K, grade-school word problems: `openai/gsm8k` from the Hugging Face hub, or a local copy.

Rows have `question` and `answer`; the answer is worked out in prose with `<<2+3=5>>` calculator marks, and its last
line is `#### 5`. Any data in that form works. A local copy is a directory with `train.jsonl` and `test.jsonl` (or
`.parquet`), or one file: one with `test` in its name is the test split, any other the training split, so that
nobody trains and tests on the same file.
"""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engines.recipe.errors import RecipeError
from engines.tasks.answers import parse_number
from engines.tasks.example import Document, Example
from engines.tasks.row_files import hub_rows, rows_of
from engines.tasks.splits import OfficialSplit

HUB_ID = "openai/gsm8k"
SUFFIXES = (".jsonl", ".parquet")
_CALCULATOR_MARK = re.compile(r"<<[^>]*>>")
_LAYOUT = "task.path is a directory with train.jsonl and test.jsonl (or .parquet), or one such file"


def read(path: str | None, split: OfficialSplit) -> list[Example]:
    """The official split, in the order of the file."""
    rows = hub_rows(HUB_ID, "main", split) if path is None else _local_rows(Path(path).expanduser(), split)
    return [_example(where, row, f"gsm8k-{split}-{index}") for index, (where, row) in enumerate(rows)]


def splits(path: str | None) -> set[OfficialSplit]:
    """Which official splits the data has."""
    if path is None:
        return {"train", "test"}
    candidates: tuple[OfficialSplit, ...] = ("train", "test")
    return {split for split in candidates if _split_file(Path(path).expanduser(), split)}


def strip_calculator_marks(text: str) -> str:
    return _CALCULATOR_MARK.sub("", text)


def plain_text(examples: Sequence[Example], count: int, seed: int) -> list[Document]:
    """`count` documents for pre-training: questions, and worked solutions apart from their questions."""
    draw = random.Random(f"gsm8k-text {seed}")
    drawn = draw.choices(examples, k=count)
    return [example.question if draw.random() < 0.5 else example.reasoning for example in drawn]


def _example(where: str, row: Any, example_id: str) -> Example:
    missing = [
        name
        for name in ("question", "answer")
        if not isinstance(row, dict) or not isinstance(row.get(name), str)
    ]
    if missing:
        found = ", ".join(map(repr, row)) if isinstance(row, dict) else type(row).__name__
        raise RecipeError(
            f"{where}: no text in column {' and '.join(map(repr, missing))} (found: {found})",
            hint="every row needs 'question' and 'answer', as in openai/gsm8k",
        )
    reasoning, mark, gold = row["answer"].rpartition("####")
    answer = gold.strip().replace(",", "")
    if not mark or parse_number(answer) is None:
        wrong = f"the gold answer {gold.strip()!r} is not a number" if mark else "the answer has no '####'"
        raise RecipeError(
            f"{where}: {wrong}", hint="the answer's last line must be '#### ' and a number, as in '#### 42'"
        )
    written = gold.strip() if gold.strip() != answer else None
    question, reasoning = row["question"].strip(), strip_calculator_marks(reasoning).strip()
    return Example(example_id, question, reasoning, answer, written_answer=written)


def _split_file(path: Path, split: OfficialSplit) -> Path | None:
    if path.is_dir():
        return next((file for suffix in SUFFIXES if (file := path / f"{split}{suffix}").is_file()), None)
    named_test = "test" in path.stem.lower()
    return path if path.is_file() and named_test == (split == "test") else None


def _local_rows(path: Path, split: OfficialSplit) -> Iterator[tuple[str, Any]]:
    file = _split_file(path, split)
    if file is None:
        wrong = f"holds no {split} split" if path.exists() else "does not exist"
        raise RecipeError(f"task.path: {path} {wrong}", hint=_LAYOUT)
    if file.suffix not in SUFFIXES:
        raise RecipeError(f"task.path: {file} is neither .jsonl nor .parquet", hint=_LAYOUT)
    return rows_of(file)
