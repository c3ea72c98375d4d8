import itertools

import pytest

from engines.jepa.boundaries import stepped_rows
from engines.jepa.fields import StepsBlock
from engines.jepa.layout import pack, plain
from engines.jepa.mask_blocks import attends, blocks_of, relations
from engines.prompts.spec import PromptSpec


@pytest.fixture
def row(tokenizer, examples):
    [row] = stepped_rows(tokenizer, PromptSpec(system=""), examples[:1], StepsBlock(splitter="blank_line"))
    return row


def by_sign(packed, blocks):
    signs = [block.sign for block in blocks]
    return {
        (query, key): found
        for query, line in zip(signs, relations(packed, blocks), strict=True)
        for key, found in zip(signs, line, strict=True)
    }


def test_blocks_tile_the_row_and_are_named_by_what_they_are(row):
    packed = pack(row, predictors=2)
    blocks = blocks_of(row, packed)
    assert [block.sign for block in blocks] == ["q", "-", "s1", "s2", "s3", "a", "P1", "P2", "c2", "c3"]
    assert [block.name for block in blocks][-4:] == ["pred 1", "pred 2", "copy 2", "copy 3"]
    assert blocks[0].start == 0 and blocks[-1].end == len(packed.input_ids)
    assert all(first.end == second.start for first, second in itertools.pairwise(blocks))


@pytest.mark.parametrize("target", ["isolated", "bos", "question", "contextual"])
def test_predictors_see_up_to_their_step_and_copies_what_their_target_says(row, target):
    packed = pack(row, predictors=2, target=target)
    blocks = blocks_of(row, packed)
    found = by_sign(packed, blocks)
    for step in (1, 2):
        seen = {key for (query, key), how in found.items() if query == f"P{step}" and how == "full"}
        assert seen == {"q", "-", *(f"s{earlier}" for earlier in range(1, step + 1))}
        assert found[f"P{step}", f"P{step}"] == "causal" and found[f"P{step}", f"s{step + 1}"] == "none"
    if target == "contextual":
        assert not [block for block in blocks if block.kind == "target"]
        return
    assert found["c2", "q"] == {"isolated": "none", "bos": "part", "question": "full"}[target]
    assert found["c2", "c2"] == "causal" and found["c2", "c3"] == found["c3", "c2"] == "none"
    assert all(found["c2", key] == "none" for key in ("s1", "s2", "s3", "a", "P1"))


def test_nothing_of_the_original_sees_what_is_packed_behind_it(row):
    packed = pack(row, predictors=3)
    found = by_sign(packed, blocks_of(row, packed))
    original = ["q", "-", "s1", "s2", "s3", "a"]
    for query, key in itertools.product(original, ["P1", "P2", "c2", "c3"]):
        assert found[query, key] == "none"
    for one, other in itertools.combinations(original, 2):
        assert (found[other, one], found[one, other]) == ("full", "none")


def test_a_plain_row_has_no_blocks_but_its_own_and_is_causal(row):
    packed = plain(row)
    blocks = blocks_of(row, packed)
    assert blocks[-1].sign == "a" and blocks[-1].end == len(row.input_ids)
    size = range(len(row.input_ids))
    assert all(attends(packed, query, key) == (key <= query) for query in size for key in size)
