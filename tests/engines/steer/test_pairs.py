import random
import re

import pytest

from engines.prompts.rendering import token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.steer.audit import audit, require_no_leak
from engines.steer.pairs import Side, answer_pairs, balanced, mixed_outcomes, step_pairs
from engines.tasks.example import Example
from engines.tasks.scored import score

SPEC = PromptSpec()
DRAW = random.Random(0)
EXAMPLES = [
    Example(
        f"e{place}",
        f"Tom has {a} apples and buys {b} boxes of {c}. How many apples?",
        f"The boxes hold {b} * {c} = {b * c} apples. He has {a} + {b * c} = {a + b * c} apples.",
        str(a + b * c),
    )
    for place in range(120)
    for a, b, c in [(DRAW.randint(3, 60), DRAW.randint(2, 9), DRAW.randint(2, 12))]
]


def by_question(sides):
    groups = {}
    for side in sides:
        groups.setdefault(side.question, {})[side.label] = side
    return groups


def test_wrong_answers_are_right_ones_of_other_questions_in_the_same_form(tokenizer):
    sides = answer_pairs(tokenizer, SPEC, EXAMPLES, 0)
    golds = {example.id: example.answer for example in EXAMPLES}

    def answers(label):
        found = [re.search(r"<SOLUTION>(.*?)<", side.completion)[1] for side in sides if side.label == label]
        return sorted(found)

    assert set(answers(False)) <= set(golds.values())
    assert answers(True) == answers(False), "each number is as often right as wrong"
    for question, group in by_question(sides).items():
        wrong = re.search(r"<SOLUTION>(.*?)<", group[False].completion)[1]
        assert wrong != golds[question] and len(wrong) == len(golds[question])
        assert group[True].prompt == group[False].prompt
    assert audit(tokenizer, sides).passed


def test_a_corrupted_step_keeps_length_and_format_and_changes_what_follows(tokenizer):
    sides = step_pairs(tokenizer, SPEC, EXAMPLES, 0)
    groups = by_question(sides)
    assert len(groups) > 100
    for group in groups.values():
        right, wrong = group[True].completion, group[False].completion
        assert right != wrong and re.sub(r"\d+", "0", right) == re.sub(r"\d+", "0", wrong)
        assert len(token_ids(tokenizer, right)) == len(token_ids(tokenizer, wrong))
    assert audit(tokenizer, sides).passed
    assert sides == step_pairs(tokenizer, SPEC, EXAMPLES, 0) != step_pairs(tokenizer, SPEC, EXAMPLES, 1)


def test_a_result_is_replaced_wherever_it_occurs_from_there_on(tokenizer):
    examples = [
        Example(f"e{n}", "q", f"2 * {n} = {2 * n}. So {2 * n} it is.", str(2 * n)) for n in range(10, 40)
    ]
    groups = by_question(step_pairs(tokenizer, SPEC, examples, 0))
    assert len(groups) > 20
    for question, group in groups.items():
        [numbers] = re.findall(r"= (\d+). So (\d+) .*<SOLUTION>(\d+)<", group[False].completion)
        assert len(set(numbers)) == 1 and int(numbers[0]) != 2 * int(question[1:])


def scored(question, number, text, terminated=True, gold="7"):
    example = Example(question, f"question {question}", "It is.", gold)
    return score(example, number, text, SPEC, terminated=terminated, tokens=5, count_tokens=len)


def test_only_questions_with_both_outcomes_count_and_only_whole_answers(tokenizer):
    solution = "<SOLUTION>{}</SOLUTION>".format
    rows = [
        *(
            scored("a", n, text)
            for n, text in enumerate([solution(7), solution(7), solution(8), "It is." + solution(7)])
        ),
        *(scored("b", n, solution(7)) for n in range(4)),
        *(scored("c", n, text) for n, text in enumerate([solution(7), "no idea", "I would say 9"])),
        scored("c", 3, solution(9), terminated=False),
        *(scored("d", n, text) for n, text in enumerate([solution(7), solution(5)])),
    ]
    sides = mixed_outcomes(tokenizer, SPEC, rows)
    counts = {}
    for side in sides:
        counts.setdefault(side.question, []).append(side.label)
    assert counts == {"a": [True, True, False], "c": [True, False], "d": [True, False]}
    assert len({side.key for side in sides}) == len(sides)


def test_too_few_questions_are_told(tokenizer):
    with pytest.raises(RecipeError, match="P2 finds fewer than 2 questions"):
        mixed_outcomes(tokenizer, SPEC, [scored("a", 0, "<SOLUTION>7</SOLUTION>")])


LEAKS = {
    "a constant as the wrong answer": lambda example: "42",
    "a text as the wrong answer": lambda example: "Wrong answer",
    "the next number as a decimal": lambda example: str(float(example.answer) + 1),
    "one digit more": lambda example: "1" + example.answer,
}


@pytest.mark.parametrize("wrong", LEAKS.values(), ids=LEAKS.keys())
def test_pairs_that_differ_in_their_surface_are_refused(tokenizer, wrong):
    sides = [
        Side(example.id, "p", text, label)
        for example in EXAMPLES
        for text, label in ((example.answer, True), (wrong(example), False))
    ]
    found = audit(tokenizer, sides)
    assert found.low > 0.6
    with pytest.raises(RecipeError, match="told apart by their surface"):
        require_no_leak(found)


def test_lengths_that_leak_can_be_balanced(tokenizer):
    draw = random.Random(1)
    sides = [
        Side(
            f"q{question}",
            "p",
            "0 " * max(1, round(draw.gauss(20 if label else 26, 6))) + "<SOLUTION>",
            label,
            number,
        )
        for question in range(80)
        for label in (True, False)
        for number in range(4)
    ]
    assert not audit(tokenizer, sides).passed
    kept = balanced(tokenizer, sides)
    assert len(kept) == 160 and audit(tokenizer, kept).passed


def test_an_audit_repeats_itself(tokenizer):
    sides = answer_pairs(tokenizer, SPEC, EXAMPLES, 0)
    assert audit(tokenizer, sides) == audit(tokenizer, sides)
