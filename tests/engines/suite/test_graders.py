"""The holes that graders of this field have, each closed: guesses, substrings, free columns, evaluated text."""

import json

import pytest

from engines.suite.catalog import SUITE
from engines.suite.choice_tasks import choice_item, grade_choice
from engines.suite.ifeval_checks import CHECKS
from engines.suite.item import make_item
from engines.suite.logic_tasks import grade_grid, grade_ordering, grade_zebra
from engines.suite.tabular_tasks import grade_tabular, same_value

CHOICE = choice_item("supergpqa", "?", ["a cat", "a dog", "x", "y"], 3)
ZEBRA = make_item(
    "zebra",
    "?",
    {"header": ["House", "Name", "Pet"], "rows": [["1", "Ann", "cat"], ["2", "Bob", "dog"]]},
)


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        ("\\boxed{D}", True, True),
        ("\\boxed{D. Because A is wrong}", True, True),
        ("\\boxed{\\text{(D)}}", True, True),
        ("\\boxed{D y}", True, True),
        ("The answer is D.", False, True),
        ("\\boxed{A dog}", False, False),
        ("\\boxed{B or D}", False, False),
        ("\\boxed{D, A}", False, False),
        ("\\boxed{E}", False, False),
        ("I do not know D", False, False),
        ("\\boxed{not D} The answer is D", False, False),
    ],
)
def test_a_choice_is_one_letter_of_the_options_and_no_guess(text, strict, lenient):
    grade = grade_choice(CHOICE, text, None)
    assert (grade.correct, grade.lenient) == (strict, lenient)


def _zebra(rows, header=("House", "Name", "Pet")):
    return grade_zebra(
        ZEBRA, f"<answer>{json.dumps({'header': header, 'rows': rows}, indent=1)}</answer>", None
    )


def test_a_zebra_table_earns_nothing_for_the_given_column_and_its_share_for_the_rest():
    assert _zebra([["1", "ann", "CAT"], ["2", "Bob", "dog"]]).correct
    assert _zebra([["1", "?", "?"], ["2", "?", "?"]]).score == 0.0
    assert _zebra([["1", "Ann", "cat"], ["2", "Bob", "fish"]]).score == 0.75
    assert _zebra([["2", "Bob", "dog"], ["1", "Ann", "cat"]]).correct
    assert _zebra([["1", "cat", "Ann"], ["2", "dog", "Bob"]], ("House", "Pet", "Name")).correct
    assert not _zebra([["1", "Ann", "cat"], ["2", "Bob", "fish"]]).correct


def test_a_grid_is_right_as_a_whole_and_a_missing_one_is_no_grid_of_zero():
    item = make_item("arcagi1", "?", [[0]])
    assert grade_grid(item, "<answer>[[0]]</answer>", None).correct
    assert grade_grid(item, "", None).outcome == "no_answer"
    assert not grade_grid(item, "<answer>[[0, 0]]</answer>", None).lenient
    assert not grade_grid(item, "<answer>[[false]]</answer>", None).lenient
    assert (
        grade_grid(item, "I think [[0]]", None).lenient
        and not grade_grid(item, "I think [[0]]", None).correct
    )


def test_an_ordering_survives_lines_hyphens_and_case_but_no_code():
    item = make_item("ordering", "?", ["Anne-Marie", "Bo"])
    assert grade_ordering(item, "<answer>\n['anne-marie',\n 'BO']\n</answer>", None).correct
    assert not grade_ordering(item, "<answer>['Bo', 'Anne-Marie']</answer>", None).lenient
    assert not grade_ordering(item, "<answer>sorted(['Bo', 'Anne-Marie'])</answer>", None).correct
    assert not grade_ordering(item, "<answer>[" * 500, None).lenient


@pytest.mark.parametrize(
    ("ours", "gold", "same"),
    [
        ("93.5%", "0.935", True),
        ("93.49", "93.5", True),
        ("50 %", "50%", True),
        ("5000%", "50%", False),
        ("0.5%", "50%", False),
        ("2018", "2019", False),
        ("$1,234.50", "1234.5", True),
        ("(12.3)", "-12.3", True),
        ("Yes", "yes.", True),
        ("5 million", "5", False),
        ("__import__('os').getpid()", "1", False),
        ("", "", False),
        ("1e999999999", "1", False),
    ],
)
def test_table_values_are_compared_as_numbers_or_words_and_never_evaluated(ours, gold, same):
    assert same_value(ours, gold) is same


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("arcagi1", f"<answer>[[{'0x' + 'f' * 5000}]]</answer>"),
        ("zebra", f"<answer>{{'rows': [[{'0x' + 'f' * 5000}]]}}</answer>"),
        ("ordering", f"<answer>['a', {'0x' + 'f' * 5000}]</answer>"),
        ("livebench_data_analysis", f"<solution>[{{'a': {'0x' + 'f' * 5000}}}]</solution>"),
        ("livebench_data_analysis", "<solution>a,b\n1\r2,3</solution>"),
    ],
)
def test_no_text_of_a_model_takes_its_answer_out_of_the_count(name, answer):
    items = [SUITE[name].generate(seed, 0) for seed in range(20)]
    assert {grade.outcome for grade in (SUITE[name].grade(item, answer, None) for item in items)} <= {
        "graded",
        "no_answer",
    }


def test_several_values_are_all_needed_in_any_order():
    item = make_item("hitab", "?", ["rugs", "12"])
    assert grade_tabular(item, "\\boxed{12 | rugs}", None).correct
    assert not grade_tabular(item, "\\boxed{12}", None).correct
    assert not grade_tabular(item, "\\boxed{12|rugs|desks}", None).correct
    assert not grade_tabular(item, "\\boxed{12|12}", None).correct


INSTRUCTIONS = {
    "keywords:existence": ({"keywords": ["sea", "sky"]}, "Sea and sky.", "Only sea."),
    "keywords:frequency": ({"keyword": "ha", "frequency": 2, "relation": "at least"}, "ha ha", "ha"),
    "keywords:forbidden_words": ({"forbidden_words": ["no"]}, "nothing", "No."),
    "keywords:letter_frequency": ({"letter": "a", "let_frequency": 2, "let_relation": "less than"}, "a b", "a a"),
    "length_constraints:number_sentences": ({"num_sentences": 2, "relation": "at least"}, "A b. C d!", "A b."),
    "length_constraints:number_paragraphs": ({"num_paragraphs": 2}, "one\n***\ntwo", "one"),
    "length_constraints:number_words": ({"num_words": 3, "relation": "less than"}, "two words", "now three words"),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"}, "One.\n\nThen two.", "One.\n\nSo two."
    ),
    "detectable_content:number_placeholders": ({"num_placeholders": 2}, "[a] [b]", "[a]"),
    "detectable_content:postscript": ({"postscript_marker": "P.S."}, "Text\nP. S. more", "Text"),
    "detectable_format:number_bullet_lists": ({"num_bullets": 2}, "* a\n* b", "* a\n* b\n* c"),
    "detectable_format:constrained_response": ({}, "My answer is no.", "No."),
    "detectable_format:number_highlighted_sections": ({"num_highlights": 1}, "so *this*", "so this"),
    "detectable_format:multiple_sections": (
        {"section_spliter": "Part", "num_sections": 2}, "Part 1 a\nPart 2 b", "Part 1 a"
    ),
    "detectable_format:json_format": ({}, '```json\n{"a": 1}\n```', "{a: 1}"),
    "detectable_format:title": ({}, "<<Title>>\ntext", "<< >>"),
    "combination:two_responses": ({}, "one\n******\ntwo", "one\n******\none"),
    "combination:repeat_prompt": ({"prompt_to_repeat": "Do it"}, "do it: done", "done"),
    "startend:end_checker": ({"end_phrase": "The end."}, "So. the end.", "The end. Or not."),
    "startend:quotation": ({}, '"all of it"', '"half" of it'),
    "change_case:capital_word_frequency": ({"capital_frequency": 1, "capital_relation": "at least"}, "NO way", "No way"),
    "change_case:english_capital": ({}, "ALL CAPS", "Some CAPS"),
    "change_case:english_lowercase": ({}, "all low", "All low"),
    "punctuation:no_comma": ({}, "none here", "one, here"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(CHECKS) - {"language:response_language"}))
def test_an_instruction_holds_for_a_text_that_follows_it_and_for_no_other(name):
    given, follows, does_not = INSTRUCTIONS[name]
    assert CHECKS[name](follows, given) and not CHECKS[name](does_not, given)


def test_an_answer_that_leaves_out_one_of_several_instructions_is_wrong_and_says_which():
    row = {
        "prompt": "p",
        "instruction_id_list": ["punctuation:no_comma", "detectable_format:title"],
        "kwargs": [{}, {"unused": None}],
    }
    item = SUITE["ifeval"].parse(row)
    grade = SUITE["ifeval"].grade(item, "no title", None)
    assert not grade.correct and grade.detail == "not followed: detectable_format:title"
    assert SUITE["ifeval"].grade(item, "Sure\n<<t>> x", None).correct


def test_livebench_gives_a_share_for_groups_sentences_and_columns():
    grade, item = (
        SUITE["livebench_language"].grade,
        lambda kind, gold: make_item("l", "?", gold, {"kind": kind}),
    )
    words = [f"w{number}" for number in range(8)]
    swapped = [*words[:3], words[4], words[3], *words[5:]]
    assert grade(
        item("connections", ", ".join(words)), f"**{', '.join(words[4:] + words[:4])}**", None
    ).correct
    assert grade(item("connections", ", ".join(words)), f"**{', '.join(swapped)}**", None).score == 0.0
    assert (
        grade(item("plot_unscrambling", "a\nb\nc\nd"), "<solution>a\nb\nd\nc</solution>", None).score == 0.5
    )
    assert (
        grade(
            item("tablejoin", {"a": "x", "b": "y"}), '<solution>{"a": "x", "b": "z"}</solution>', None
        ).score
        == 0.5
    )
    assert grade(item("tablereformat", '[{"a": "1"}]'), "<solution>a\n1</solution>", None).outcome == "graded"
    assert not grade(item("typos", "the right text"), "<solution>the rigth text</solution>", None).correct
