"""The names of reasoning-gym's tasks that recipes may use: checked without the package, which only a job imports."""

from typing import Literal

GymTaskName = Literal[
    "gym_advanced_geometry", "gym_aiw", "gym_arc_1d", "gym_basic_arithmetic", "gym_bf",
    "gym_binary_alternation", "gym_caesar_cipher", "gym_chain_sum", "gym_circuit_logic",
    "gym_color_cube_rotation", "gym_count_bits", "gym_count_primes", "gym_course_schedule", "gym_cryptarithm",
    "gym_decimal_arithmetic", "gym_decimal_chain_sum", "gym_dice", "gym_emoji_mystery",
    "gym_family_relationships", "gym_gcd", "gym_jugs", "gym_kakurasu", "gym_knights_knaves",
    "gym_largest_island", "gym_lcm", "gym_leg_counting", "gym_letter_counting", "gym_mahjong_puzzle",
    "gym_manipulate_matrix", "gym_maze", "gym_mini_sudoku", "gym_modulo_grid", "gym_needle_haystack",
    "gym_number_filtering", "gym_number_format", "gym_palindrome_generation", "gym_path_star",
    "gym_pool_matrix", "gym_power_function", "gym_products", "gym_rotate_matrix", "gym_rotten_oranges",
    "gym_self_reference", "gym_shortest_path", "gym_simple_equations", "gym_simple_geometry", "gym_survo",
    "gym_syllogism", "gym_word_sequence_reversal", "gym_word_sorting",
]  # fmt: skip
