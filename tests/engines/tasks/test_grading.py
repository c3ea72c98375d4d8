import pytest

from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.tasks.grading import GRADERS, Grade, grade

SPEC = PromptSpec()
WORK = "<start_working_out>6*12=72<end_working_out>"


def verdicts(text: str, gold: str = "72", terminated: bool = True) -> str:
    """The graders that say right, by initial."""
    result = grade(text, gold, SPEC, terminated)
    return "".join(name[0] for name in GRADERS if getattr(result, name))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WORK + "<SOLUTION>72</SOLUTION>", "srl"),
        (WORK + "<SOLUTION>72.00</SOLUTION>", "sr"),
        (WORK + "<SOLUTION>$72</SOLUTION>", "srl"),
        (WORK + "<SOLUTION>72", "rl"),
        (WORK + "<SOLUTION>72</SOLUTION><SOLUTION>72</SOLUTION>", "rl"),
        (WORK + "<SOLUTION>72</SOLUTION></SOLUTION>", "rl"),
        (WORK + "<SOLUTION>73</SOLUTION>", ""),
        (WORK + "<SOLUTION>-72</SOLUTION>", ""),
        (WORK + "<SOLUTION>71 or 72</SOLUTION>", "l"),
        ("6*12=72\n#### 72", "rolt"),
        ("6*12=72\n####72", "rlt"),
        ("6*12=72\n#### $72", "rl"),
        ("#### 72 and not\n#### 73", "ot"),
        ("**#### Answer: $72**", "rl"),
        ("The answer is 72. Call me 24/7", "r"),
        ("The answer is 72...", "r"),
        ("", ""),
    ],
)
def test_the_graders_differ_exactly_where_their_definitions_do(text: str, expected: str) -> None:
    assert verdicts(text) == expected


def test_strict_needs_the_model_to_have_stopped() -> None:
    assert verdicts(WORK + "<SOLUTION>72</SOLUTION>", terminated=False) == "rl"


def test_textual_graders_ignore_thousands_commas_in_what_the_model_wrote() -> None:
    assert verdicts("so\n#### 2,125", gold="2125") == "rol"


def test_a_prefill_is_part_of_what_is_graded() -> None:
    generation = "6*12=72<end_working_out><SOLUTION>72</SOLUTION>"
    assert grade(generation, "72", SPEC, True).thinking is None
    assert grade("<start_working_out>" + generation, "72", SPEC, True).thinking == "6*12=72"


@pytest.mark.parametrize(
    ("text", "thinking", "has_answer", "repeated"),
    [
        (WORK + "<SOLUTION>72</SOLUTION>", "6*12=72", True, False),
        (WORK + "<SOLUTION>72", "6*12=72", True, False),
        (WORK + "<SOLUTION>dunno</SOLUTION>", "6*12=72", False, False),
        ("<start_working_out> <end_working_out>72", None, False, False),
        ("<start_working_out>72", None, False, False),
        (WORK + WORK, "6*12=72", False, True),
    ],
)
def test_thinking_and_answering_are_reported(
    text: str, thinking: str | None, has_answer: bool, repeated: bool
) -> None:
    result = grade(text, "72", SPEC, True)
    assert (result.thinking, result.has_answer, result.repeated_tag) == (thinking, has_answer, repeated)


@pytest.mark.parametrize(
    ("inside", "extracted"),
    [
        ("$72.00", "72"),
        ("1 1/2", "1.5"),
        ("1/3", "1/3"),
        ("2,125", "2125"),
        ("5 or 6", "5 or 6"),
        ("-0.10", "-0.1"),
    ],
)
def test_equal_answers_are_shown_alike(inside: str, extracted: str) -> None:
    assert grade(f"<SOLUTION>{inside}</SOLUTION>", "72", SPEC, True).extracted == extracted


def test_a_text_without_any_number_shows_nothing() -> None:
    assert grade("no idea", "72", SPEC, True) == Grade(
        False, False, False, False, False, "none", False, None, None, False, False
    )


def test_a_gold_that_is_no_number_is_an_error_and_not_a_wrong_answer() -> None:
    with pytest.raises(RecipeError, match="gold answer 'many'"):
        grade("72", "many", SPEC, True)
