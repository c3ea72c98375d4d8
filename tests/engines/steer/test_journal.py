import json

import pytest

from engines.recipe.errors import RecipeError
from engines.steer.journal import StopRequested, kept, kept_rows


def go_on(_share):
    pass


def test_a_stage_is_made_once_and_refuses_other_inputs(tmp_path):
    path, made = tmp_path / "stage.json", []

    def make():
        made.append(1)
        return {"value": 3}

    assert kept(path, ["a"], make) == kept(path, ["a"], make) == {"value": 3}
    assert len(made) == 1
    with pytest.raises(RecipeError, match="made from other inputs"):
        kept(path, ["b"], make)


def test_rows_go_on_behind_a_stop_and_stand_in_the_order_of_their_keys(tmp_path):
    path, asked = tmp_path / "rows.jsonl", []

    def make(missing):
        asked.append(missing)
        for place in reversed(missing):
            yield [(place, {"row": place})]

    def stop_at_two(share):
        if share >= 0.5:
            raise StopRequested

    keys = ["a", "b", "c", "d"]
    with pytest.raises(StopRequested):
        kept_rows(path, 1, keys, make, stop_at_two)
    assert not path.exists()
    rows = kept_rows(path, 1, keys, make, go_on)
    assert asked == [[0, 1, 2, 3], [0, 1]]
    assert rows == [{"row": place} for place in range(4)] == kept_rows(path, 1, keys, make, go_on)
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.jsonl"]
    with pytest.raises(RecipeError, match="other inputs"):
        kept_rows(path, 2, keys, make, go_on)


def test_a_journal_of_other_inputs_and_a_torn_line_are_passed_over(tmp_path):
    path = tmp_path / "rows.jsonl"
    line = {"inputs": "another", "key": "a", "row": {"row": "wrong"}}
    (tmp_path / "rows.jsonl.journal").write_text(json.dumps(line) + '\n{"inputs": "x", "ke')
    rows = kept_rows(path, 1, ["a"], lambda missing: [[(0, {"row": "right"})]], go_on)
    assert rows == [{"row": "right"}]
