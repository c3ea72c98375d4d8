"""Items from files: the public formats, places in messages, no question twice, and no training on what is evaluated."""

import gzip
import json

import pytest

from engines.recipe.errors import RecipeError
from engines.suite.catalog import SUITE
from engines.suite.loading import check_disjoint, made_items, read_items


def _write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_the_same_rows_are_read_from_jsonl_gzip_json_and_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    rows = [{"problem": f"What is {n} + 1?", "answer": n + 1} for n in range(3)]
    text = _write(tmp_path / "a.jsonl", rows)
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write((tmp_path / "a.jsonl").read_text())
    (tmp_path / "c.json").write_text(json.dumps(rows))
    pandas.DataFrame(rows).to_parquet(tmp_path / "d.parquet")
    wanted = read_items(SUITE["aime"], text)
    assert [item.answer for item in wanted] == ["1", "2", "3"]
    for name in ("b.jsonl.gz", "c.json", "d.parquet"):
        assert read_items(SUITE["aime"], str(tmp_path / name)) == wanted


def test_a_row_of_another_form_is_named_with_its_place(tmp_path):
    path = _write(tmp_path / "a.jsonl", [{"problem": "p", "answer": 1}, {"problem": "p"}])
    with pytest.raises(
        RecipeError, match=r"a\.jsonl:2: no column 'answer' \(found: 'problem'\)\nhint: aime reads rows"
    ):
        read_items(SUITE["aime"], path)
    path = _write(tmp_path / "b.jsonl", [{"problem": "p", "answer": "many"}])
    with pytest.raises(RecipeError, match=r"b\.jsonl:1: the answer 'many' is not a number"):
        read_items(SUITE["aime"], path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "{", r"a\.jsonl:1: not JSON"),
        ("a.json", "7", "int, where a list was expected"),
        ("a.parquet", "x", "not a Parquet file"),
        ("a.csv", "x", "no data file"),
        ("a.jsonl", "", "holds no rows"),
        ("a.jsonl", "[1]\n", "not an object"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_items(SUITE["aime"], str(tmp_path / name))


def test_a_repeated_row_is_one_item(tmp_path):
    rows = [{"problem": "p", "answer": 1}] * 8
    assert len(read_items(SUITE["aime"], _write(tmp_path / "a.jsonl", rows))) == 1


def test_more_questions_than_can_be_made_are_refused():
    task = SUITE["ordering"]
    few = type(task)(**{**vars(task), "generate": lambda seed, difficulty: task.generate(seed % 7, 1)})
    with pytest.raises(RecipeError, match=r"only \d different ones can be made"):
        made_items(few, "train", 50)


def test_a_question_that_is_trained_on_and_evaluated_is_an_error_unless_allowed():
    items = made_items(SUITE["amc"], "test", 5)
    others = made_items(SUITE["amc"], "train", 5)
    assert check_disjoint(others, items) == 0
    with pytest.raises(RecipeError, match=r"1 of 5 evaluated questions are also trained on \(amc\)"):
        check_disjoint([*others, items[2]], items)
    assert check_disjoint([items[2]], items, allow=True) == 1
