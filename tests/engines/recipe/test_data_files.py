"""Data that changes between submission and start."""

import os
from pathlib import Path
from typing import Any

import pytest

from engines.recipe.data_files import check_files, hash_files, named_files, stamp_of
from engines.recipe.errors import RecipeError
from engines.recipe.schemas import recipe_class


def sft(**fields: Any) -> Any:
    body = {"engine": "sft", "model": {"base": "pocket"}, "task": {"name": "gsm8k", "path": "data"}, **fields}
    return recipe_class("sft").model_validate(body)


def quiet(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for name in ("train.jsonl", "test.jsonl", "README.md"):
        (tmp_path / "data" / name).write_text(name)
    (tmp_path / "traces.jsonl").write_text("traces")
    return tmp_path / "data"


def test_every_field_for_data_is_known_wherever_it_stands() -> None:
    assert list(named_files(sft(traces="t.jsonl"))) == ["data", "t.jsonl"]
    assert list(named_files(sft(traces={"from": "job", "path": "unused"}))) == ["data"]
    suite = {"tasks": ["aime", "math500"], "source": "public", "paths": {"aime": "a.jsonl"}}
    body = {"engine": "eval", "model": {"base": "pocket"}, "suite": suite}
    assert list(named_files(recipe_class("eval").model_validate(body))) == ["a.jsonl"]


def test_what_has_not_changed_passes_and_is_not_read_again(data: Path) -> None:
    recipe = sft(traces=str(data.parent / "traces.jsonl"))
    submitted = hash_files([recipe], data.parent)
    assert [Path(path).name for path in submitted] == ["test.jsonl", "train.jsonl", "traces.jsonl"]
    check_files(recipe, data.parent, submitted, quiet)

    path = data / "train.jsonl"
    before = stamp_of(path)
    assert before is not None
    forged = before | {"sha256": "0"}
    assert stamp_of(path, forged) is forged
    os.utime(path, ns=(0, before["mtime_ns"] + 1))
    assert stamp_of(path, forged) == before | {"mtime_ns": before["mtime_ns"] + 1}
    check_files(recipe, data.parent, submitted, quiet)


def test_changed_data_ends_the_job_and_the_error_names_every_file(data: Path) -> None:
    recipe = sft()
    submitted = hash_files([recipe], data.parent)
    (data / "train.jsonl").write_text("else")
    (data / "test.jsonl").unlink()
    (data / "more.jsonl").write_text("more")
    with pytest.raises(RecipeError) as refused:
        check_files(recipe, data.parent, submitted, quiet)

    said = str(refused.value)
    assert f"{data}/train.jsonl has changed (11 bytes then, 4 now)" in said
    assert f"{data}/test.jsonl is gone" in said
    assert f"{data}/more.jsonl was added" in said
    assert "data_may_change: true" in said


def test_data_may_change_where_the_recipe_says_so(data: Path) -> None:
    recipe = sft(data_may_change=True)
    submitted = hash_files([recipe], data.parent)
    (data / "train.jsonl").write_text("else")
    heard: list[str] = []
    check_files(recipe, data.parent, submitted, heard.append)

    assert len(heard) == 1
    assert "train.jsonl has changed" in heard[0]


def test_data_of_other_jobs_and_what_was_not_there_yet_is_not_held_against_a_job(data: Path) -> None:
    recipe, other = sft(), sft(task="gsm8k", traces="traces.jsonl")
    late = sft(task={"name": "gsm8k", "path": "late"})
    submitted = hash_files([recipe, other, late], data.parent)
    (data.parent / "traces.jsonl").write_text("changed")
    (data.parent / "late").mkdir()
    (data.parent / "late" / "train.jsonl").write_text("made by another job")

    check_files(recipe, data.parent, submitted, quiet)
    check_files(late, data.parent, submitted, quiet)
    with pytest.raises(RecipeError, match=r"traces\.jsonl has changed"):
        check_files(other, data.parent, submitted, quiet)
