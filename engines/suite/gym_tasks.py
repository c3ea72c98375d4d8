"""Tasks of reasoning-gym, where it is installed: those of its datasets whose scorers can be trusted with a model's answer.

An answer is right or wrong. reasoning-gym's shares in between are left to the grade's detail: many of them are credit for
length or form (an answer that merely contains the right one, anything that parses), which reinforcement learning would
collect. So whatever junk gets for its form, 0.01 to 0.5, counts as 0 here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from engines.recipe.errors import RecipeError
from engines.recipe.gym_names import GymTaskName
from engines.sandbox import Sandbox
from engines.suite.extraction import boxed, phrased, tagged
from engines.suite.gym_process import SCORED, made_entry, share_of
from engines.suite.item import Domain, Item, SuiteGrade, SuiteTask, graded, grader_error, make_item, no_answer

PREFIX = "gym_"
SUFFIX = "\n\nPlease put the final answer, and nothing else, within <answer> </answer>."

ALLOWED: dict[GymTaskName, Domain] = {
    "gym_advanced_geometry": "math",
    "gym_basic_arithmetic": "math",
    "gym_chain_sum": "math",
    "gym_count_bits": "math",
    "gym_count_primes": "math",
    "gym_decimal_arithmetic": "math",
    "gym_decimal_chain_sum": "math",
    "gym_dice": "math",
    "gym_gcd": "math",
    "gym_lcm": "math",
    "gym_leg_counting": "math",
    "gym_number_format": "math",
    "gym_power_function": "math",
    "gym_products": "math",
    "gym_simple_equations": "math",
    "gym_simple_geometry": "math",
    "gym_aiw": "logic",
    "gym_arc_1d": "logic",
    "gym_circuit_logic": "logic",
    "gym_color_cube_rotation": "logic",
    "gym_course_schedule": "logic",
    "gym_cryptarithm": "logic",
    "gym_family_relationships": "logic",
    "gym_jugs": "logic",
    "gym_kakurasu": "logic",
    "gym_knights_knaves": "logic",
    "gym_mahjong_puzzle": "logic",
    "gym_maze": "logic",
    "gym_mini_sudoku": "logic",
    "gym_modulo_grid": "logic",
    "gym_self_reference": "logic",
    "gym_survo": "logic",
    "gym_syllogism": "logic",
    "gym_bf": "simulation",
    "gym_binary_alternation": "simulation",
    "gym_caesar_cipher": "simulation",
    "gym_largest_island": "simulation",
    "gym_letter_counting": "simulation",
    "gym_manipulate_matrix": "simulation",
    "gym_number_filtering": "simulation",
    "gym_palindrome_generation": "simulation",
    "gym_path_star": "simulation",
    "gym_pool_matrix": "simulation",
    "gym_rotate_matrix": "simulation",
    "gym_rotten_oranges": "simulation",
    "gym_shortest_path": "simulation",
    "gym_word_sequence_reversal": "simulation",
    "gym_word_sorting": "simulation",
    "gym_emoji_mystery": "ood",
    "gym_needle_haystack": "ood",
}

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "no answer is known that its scorer takes": (
        "graph_color", "rubiks_cube", "boxnet", "rush_hour", "propositional_logic", "arc_agi", "rearc",
    ),
    "its scorer takes wrong answers: any, `nan`, the first of several, a beginning": (
        "game_of_life_halting", "complex_arithmetic", "polynomial_equations", "gsm_symbolic", "fraction_simplification",
        "letter_jumble", "spell_backward",
    ),
    "its scorer runs the answer or the stored entry as Python": (
        "string_insertion", "spiral_matrix", "binary_matrix", "n_queens", "simple_integration", "intermediate_integration",
        "polynomial_multiplication", "puzzle24", "countdown", "number_sorting", "bitwise_arithmetic",
    ),
    "its scorer raises on some answers": (
        "prime_factorization", "coin_flip", "calendar_arithmetic", "time_intervals", "game_of_life",
    ),
    "its questions differ from process to process": ("codeio", "isomorphic_strings", "ransom_note"),
    "some of its right answers are empty": ("ab", "base_conversion", "string_manipulation"),
    "some of its questions take long to make": (
        "knight_swap", "sokoban", "zebra_puzzles", "futoshiki", "quantum_lock", "sudoku", "figlet_font", "number_sequence",
        "group_anagrams", "acre", "list_functions", "word_ladder",
    ),
    "several answers may be right, and one counts": ("sentence_reordering", "tsumego"),
    "it has fewer than a hundred questions to test with": ("string_splitting", "string_synthesis"),
    "its questions or answers are very long": ("palindrome_partitioning", "tower_of_hanoi", "rectangle_count"),
}  # fmt: skip
"""The other datasets of 0.1.25, by the reason that was found first."""


def _longest(gold: str) -> int:
    """Characters of an answer that is scored at all: scorers see the answer, not an essay around it."""
    return 200 + 2 * len(gold)


def grade(item: Item, text: str, _sandbox: Sandbox) -> SuiteGrade:
    """Right where reasoning-gym gives 1; what stands between the tags is scored, else leniently a box or a phrase."""
    found, asked = tagged(text), True
    if found is None or not found.text:
        found, asked = boxed(text) or phrased(text), False
    if found is None or not found.text:
        return no_answer()
    gold = str(item.answer)
    if len(found.text) > _longest(gold):
        return graded(False, found.text, found.method, asked_for=asked, detail="too long to be the answer")
    entry = {"question": item.prompt.removesuffix(SUFFIX), "answer": gold, "metadata": item.details}
    try:
        share = share_of(item.task.removeprefix(PREFIX), entry, found.text)
    except RuntimeError as error:
        return grader_error(str(error))
    if share is None:
        # Not an error: else a model could hide its mistakes behind answers that take for ever.
        return graded(
            False, found.text, found.method, asked_for=asked, detail=f"no score within {SCORED:g} s"
        )
    return graded(
        share >= 1, found.text, found.method, asked_for=asked, detail=f"{share:.2f} by reasoning-gym"
    )


def gold_answer(item: Item) -> str:
    """A completion with the gold answer."""
    return f"<answer>\n{item.answer}\n</answer>"


def _task(name: GymTaskName, domain: Domain) -> SuiteTask:
    return SuiteTask(name, domain, "", _parser(name), _generator(name), gold_answer, grade, levels=False)


def _generator(name: GymTaskName) -> Callable[[int, int], Item]:
    def generate(seed: int, _difficulty: int) -> Item:
        entry = made_entry(name.removeprefix(PREFIX), seed)
        return make_item(name, str(entry["question"]) + SUFFIX, str(entry["answer"]), entry["metadata"])

    return generate


def _parser(name: GymTaskName) -> Callable[[Mapping[str, Any]], Item]:
    def parse(_row: Mapping[str, Any]) -> Item:
        raise RecipeError(f"{name} is made by reasoning-gym and reads no file", hint="use `source: made`")

    return parse


GYM: dict[str, SuiteTask] = {name: _task(name, domain) for name, domain in ALLOWED.items()}
"""By name."""
