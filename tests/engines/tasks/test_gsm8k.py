import json
from fractions import Fraction
from pathlib import Path

import pytest

from engines.recipe.blocks import TaskBlock
from engines.recipe.errors import RecipeError
from engines.tasks import gsm8k
from engines.tasks.answers import parse_number
from engines.tasks.loading import load_examples, training_examples

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "gsm8k"
ROW = {
    "question": "Ann has 2 pens and buys 1,998. How many?",
    "answer": "She has 2+1998=<<2+1998=2000>>2,000 pens.\n#### 2,000",
}


def write(file: Path, *rows: object) -> str:
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(file)


def test_marks_are_stripped_from_the_reasoning_and_commas_from_the_gold(tmp_path: Path) -> None:
    [example] = gsm8k.read(write(tmp_path / "train.jsonl", ROW), "train")
    assert example.id == "gsm8k-train-0"
    assert example.reasoning == "She has 2+1998=2,000 pens."
    assert (example.answer, example.written_answer) == ("2000", "2,000")


def test_a_parquet_file_gives_the_same_examples(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([ROW, ROW]), tmp_path / "train.parquet")
    lines = gsm8k.read(write(tmp_path / "lines.jsonl", ROW, "", ROW), "train")
    assert gsm8k.read(str(tmp_path), "train") == lines


def test_a_path_may_begin_at_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "train.jsonl", ROW)
    assert gsm8k.splits("~") == {"train"}
    assert len(gsm8k.read("~/train.jsonl", "train")) == 1


def test_one_file_is_either_training_or_test_data(tmp_path: Path) -> None:
    train, test = write(tmp_path / "my.jsonl", ROW), write(tmp_path / "my_test.jsonl", ROW)
    assert (
        gsm8k.splits(train) == {"train"}
        and gsm8k.splits(test) == {"test"}
        and gsm8k.splits(None) == {"train", "test"}
    )
    with pytest.raises(RecipeError, match="holds no test split"):
        load_examples(TaskBlock(name="gsm8k", path=train), "test")
    with pytest.raises(RecipeError, match="holds no train split"):
        training_examples(TaskBlock(name="gsm8k", path=test), None, 0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((ROW, "{not json"), r"train\.jsonl:2: not JSON"),
        ((ROW, [1]), r"train\.jsonl:2: no text in column 'question' and 'answer' \(found: list\)"),
        ((ROW, {"question": "?", "solution": "#### 1"}), r"train\.jsonl:2: no text in column 'answer' \(found: 'question', 'solution'\)"),
        ((ROW, {"question": "?", "answer": "just 5"}), r"train\.jsonl:2: the answer has no '####'"),
        ((ROW, {"question": "?", "answer": "#### many"}), r"train\.jsonl:2: the gold answer 'many' is not a number"),
        ((ROW, {"question": "?", "answer": 5}), r"train\.jsonl:2: no text in column 'answer'"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, rows: tuple[object, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        gsm8k.read(write(tmp_path / "train.jsonl", *rows), "train")
    assert caught.value.hint


def test_files_that_are_not_what_they_should_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "fake.parquet").write_bytes(b"not parquet")
    (tmp_path / "rows.csv").write_text("a,b")
    for name, message in {
        "missing.jsonl": "does not exist",
        "binary.jsonl": r"binary\.jsonl:1: not JSON",
        "fake.parquet": "not a Parquet file",
        "rows.csv": r"neither \.jsonl nor \.parquet",
        ".": "holds no train split",
    }.items():
        with pytest.raises(RecipeError, match=message):
            gsm8k.read(str(tmp_path / name), "train")


@pytest.mark.parametrize("cached", [(), ("socratic",)])
def test_a_hub_that_cannot_be_reached_is_an_error_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: tuple[str, ...]
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    for part in cached:
        build = tmp_path / "openai___gsm8k" / part / "0.0.0" / "abc"
        build.mkdir(parents=True)
        (build / "dataset_info.json").write_text("{}")
    with pytest.raises(
        RecipeError, match=r"(?s)could not be read from the Hugging Face hub: .*\nhint: .*task\.path"
    ):
        gsm8k.read(None, "test")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real GSM8K files are not here")
def test_every_gold_answer_of_the_real_data_parses() -> None:
    train, test = gsm8k.read(str(REAL), "train"), gsm8k.read(str(REAL), "test")
    assert (len(train), len(test)) == (7473, 1319)
    assert all(parse_number(example.answer) == Fraction(example.answer) for example in train + test)
    assert not any("<<" in example.reasoning or "####" in example.reasoning for example in train + test)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real GSM8K files are not here")
def test_the_splits_of_the_real_data_are_disjoint() -> None:
    task = TaskBlock(name="gsm8k", path=str(REAL))
    train, dev, test = (load_examples(task, split) for split in ("train", "dev", "test"))
    assert (len(train), len(dev), len(test)) == (7217, 256, 1319)
    assert len({example.question for example in train + dev + test}) == 8792
