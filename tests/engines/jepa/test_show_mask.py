import re
from pathlib import Path

import pytest

from engines.jepa.mask_blocks import attends, blocks_of
from engines.jepa.mask_picture import Look, matrix, picture, printable, sequence, token_texts
from engines.jepa.packing import Packing
from engines.jepa.preview import Preview
from engines.jepa.show_mask import first_to_predict, mask_lines, terminal
from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.step_jepa import Recipe

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def found(family, tokenizer, examples):
    def make(**jepa):
        recipe = Recipe.model_validate(
            {
                "engine": "step_jepa",
                "model": {"base": family},
                "task": "gsm8k",
                "steps": {"splitter": "blank_line"},
                "jepa": jepa,
            }
        )
        return Preview(
            "steps", [], recipe, family, tokenizer, PromptSpec(system="Solve it."), list(examples), []
        )

    return make


def shown(found, look=Look(), example=0, predictors=(), tokens=None):  # noqa: B008
    return mask_lines(found, found.examples[example], predictors, look, tokens)


@pytest.mark.parametrize("ascii_only", [False, True], ids=["unicode", "ascii"])
def test_what_is_shown_of_an_example_is_the_golden_file(found, family, ascii_only):
    text = "\n".join(shown(found(), Look(ascii=ascii_only))) + "\n"
    golden = GOLDEN / f"show_mask_{family}_{'ascii' if ascii_only else 'unicode'}.txt"
    assert text == golden.read_text()


def test_it_fits_80_columns_is_ascii_where_that_is_all_there_is_and_coloured_only_when_asked(found):
    plain = shown(found(), Look(ascii=True), example=1)
    assert all(len(line) <= 80 and line.isascii() and "\x1b" not in line for line in plain)
    assert all(len(line) <= 80 for line in shown(found(), Look()))
    coloured = shown(found(), Look(ascii=True, colour=True), example=1)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == plain and coloured != plain


def test_for_whoever_listens_each_block_says_what_it_sees_and_nothing_is_drawn(found, monkeypatch):
    monkeypatch.setenv("TUNEDECK_PLAIN", "1")
    lines = shown(found(), terminal(), example=1, predictors=(1,))
    drawn = shown(found(), Look(ascii=True), example=1, predictors=(1,))
    begin = next(index for index, line in enumerate(drawn) if line.endswith("nothing"))
    sees = [line for line in lines if " sees " in line]
    assert len(sees) > 3 and sees[0] == "prompt sees up to each token itself in prompt."
    [step] = [line for line in sees if line.startswith("step 2")]
    assert step.startswith("step 2 sees all of prompt, ") and step.endswith(
        "; up to each token itself in step 2."
    )
    assert "step 1" in step and "copy" not in step
    assert drawn[begin] not in lines and not any("#" in line for line in lines)


def test_one_two_and_three_predictors_are_shown_unless_others_are_asked_for(found):
    heads = [line for line in shown(found()) if line.startswith("K=")]
    assert [head[:4] for head in heads] == ["K=1:", "K=2:", "K=3:"]
    assert [head[:4] for head in shown(found(), predictors=(0, 8)) if head.startswith("K=")] == [
        "K=0:",
        "K=8:",
    ]
    for jepa in ({"mode": "stp"}, {"mode": "regular"}, {"predictor": "linear"}):
        assert len([line for line in shown(found(**jepa)) if line.startswith("K=")]) == 1


@pytest.mark.parametrize("jepa", [{}, {"target": "question"}, {"target": "bos"}, {"target": "contextual"}])
def test_a_wide_picture_is_the_mask_itself_cell_by_cell(found, jepa):
    preview = found(**jepa)
    [row] = preview.rows(preview.examples[:1])
    packed = Packing(preview.recipe.jepa, 42, {}).row(row, 0)
    size = range(len(packed.input_ids))
    drawn = []
    runs = iter(picture(packed, blocks_of(row, packed), Look(width=400))[2:])
    for block in blocks_of(row, packed):
        for top in range(block.start, block.end, 2):
            cells = next(runs)[4:].ljust(len(size))
            drawn.append([cell in "▀█" for cell in cells])
            if top + 1 < block.end:
                drawn.append([cell in "▄█" for cell in cells])
    assert drawn == [[attends(packed, query, key) for key in size] for query in size]


def test_brackets_are_around_exactly_the_tokens_that_are_read(found):
    for jepa in (
        {},
        {"readout": "mean"},
        {"target": "contextual", "predictors": 0},
        {"readout": "last_content"},
    ):
        preview = found(**jepa)
        [row] = preview.rows(preview.examples[:1])
        packed = Packing(preview.recipe.jepa, 42, {}).row(row, 0)
        texts = [str(index) for index in range(len(packed.input_ids))]
        text = "|".join(sequence(packed, blocks_of(row, packed), texts, Look(ascii=True)))
        ends = {pair.source for pair in packed.pairs} | {pair.target.start for pair in packed.pairs}
        assert {int(number) for number in re.findall(r"\[(\d+)", text)} == ends
        ends = {pair.source for pair in packed.pairs} | {pair.target.end - 1 for pair in packed.pairs}
        assert {int(number) for number in re.findall(r"(\d+)\]", text)} == ends


def test_a_row_with_one_step_says_that_nothing_is_predicted(found):
    assert any("nothing is predicted" in line for line in shown(found(), example=2))


def test_text_and_code_are_shown_as_the_two_views_that_they_are(found):
    lines = shown(found(mode="text_code"), predictors=(1,))
    assert [line for line in lines if line.startswith("text ")][1].split()[1] == "t"
    assert any(line.startswith("code ") for line in lines)


def test_more_blocks_or_tokens_than_fit_are_said_not_to(found):
    preview = found()
    [row] = preview.rows(preview.examples[:1])
    packed = Packing(preview.recipe.jepa, 42, {}).row(row, 0)
    blocks = blocks_of(row, packed)
    assert matrix(packed, blocks, Look(width=15)) == [
        "10 blocks do not fit 15 columns; a wider terminal shows them"
    ]
    assert "too many" in picture(packed, blocks, Look(width=15))[0]


def test_long_blocks_are_cut_in_the_middle_unless_all_is_asked_for(found):
    assert any("more)" in line for line in shown(found(), tokens=10))
    tube = "".join(shown(found(mode="stp"), tokens=2))
    assert "more)" in tube and tube.count("[") == 3  # what is read is never among what is left out
    assert not any("more)" in line for line in shown(found()))


def test_tokens_cannot_take_the_terminal_over(found):
    assert printable("a\n\x1b[2J\u202e\t", Look()) == "a⏎\\x1b[2J\\x202e\\t"
    assert printable("é☃\n", Look(ascii=True)) == "\\xe9\\u2603\\n"
    preview = found()
    [row] = preview.rows(preview.examples[1:2])
    packed = Packing(preview.recipe.jepa, 42, {}).row(row, 0)
    assert "\ufffd" not in "".join(token_texts(preview.tokenizer, packed, Look()))


def test_an_example_is_found_by_number_or_id_and_else_refused(found):
    preview = found()
    assert preview.find("1") == preview.find("snow") == preview.examples[1]
    with pytest.raises(RecipeError, match=r"no training example `3`\nhint: give a number from 0 to 2"):
        preview.find("3")


def test_without_a_wish_the_first_example_with_a_step_to_predict_is_shown(found):
    preview = found()
    preview.examples.reverse()
    assert [example.id for example in preview.examples] == ["one", "snow", "boxes"]
    assert first_to_predict(preview).id == "snow"
    assert first_to_predict(found(horizon=5)).id == "boxes"
