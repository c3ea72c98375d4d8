import pickle
from types import SimpleNamespace

import pytest

from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import BaseRecipe
from engines.rewards.block import Reward, RewardBlock
from engines.rewards.named import reward_parts
from engines.rewards.verifiable import well_formed

SPEC = PromptSpec()
RS, RE, SS, SE = SPEC.tags
GOOD = f"{RS}40+32=72{RE}{SS}72{SE}"


def rewards(part, texts, gold="72", terminated=True, tokens=10, step=0, logs=None, written=None):
    """What TRL is given, and what it hands over."""
    logs = {} if logs is None else logs
    return part(
        prompts=["?"] * len(texts),
        completions=texts,
        text=texts,
        answer=[gold] * len(texts),
        written_answer=[written or gold] * len(texts),
        terminated=[terminated] * len(texts),
        completion_ids=[[7] * tokens] * len(texts),
        id=[f"q-{place}" for place in range(len(texts))],
        trainer_state=SimpleNamespace(global_step=step, max_steps=10),
        log_extra=logs.__setitem__,
        log_metric=logs.__setitem__,
    )


def only(block, **options):
    [part] = reward_parts(RewardBlock(**block), SPEC, "</s>", 100)
    return lambda text, **more: rewards(part, [text], **options, **more)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, 1.0),
        (f"\n{GOOD}\n", 1.0),
        (f"{RS}40+32=72{RE}{SS}$72.00{SE}", 1.0),
        (f"{RS}40+32=72{RE}{SS}73{SE}", 0.0),
        (f"{RS}40+32=72{RE}{SS}71{SE}", 0.0),  # no credit for being close
        (f"{RS}40+32=72{RE}{SS}72 or 73{SE}", 0.0),
        (f"{SS}72{SE}", 0.0),
        (f"{RS}{RE}{SS}72{SE}", 0.0),  # no working out
        (f"{RS}40+32=72{RE}{SS}72", 0.0),
        (f"So: {GOOD}", 0.0),
        (f"{GOOD} Next", 0.0),
        (f"{RS}40{RE}{SS}1{SE}{SS}72{SE}", 0.0),
        (f"{RS}40+32{RE}so{SS}72{SE}", 0.0),
        (f"{SS}72{SE}{RS}40+32=72{RE}", 0.0),
        ("The answer is 72", 0.0),
        ("", 0.0),
    ],
)
def test_the_default_reward_is_one_for_a_right_answer_in_the_format_and_else_nothing(text, expected):
    assert only({})(text) == expected


def test_a_right_answer_with_a_comma_earns_what_it_should():
    assert only({})(f"{RS}x{RE}{SS}2,125{SE}", gold="2125") == 1.0


def test_the_older_rewards_compare_with_the_gold_as_the_data_has_it_and_ours_with_the_number():
    """A gold of 2,125 made the right answer 2125 earn less than a wrong one."""
    text = f"{RS}x{RE}{SS}2125{SE}"
    answer = reward_parts(RewardBlock(name="legacy_seed001"), SPEC, "</s>", 100)[2]
    assert rewards(answer, [text], gold="2125", written="2,125") == [-4.5]
    assert rewards(answer, [text.replace("2125", "9")], gold="2125", written="2,125") == [-4.5]
    assert rewards(answer, [text.replace("2125", "2,125")], gold="2125", written="2,125") == [5.0]
    [ours] = reward_parts(RewardBlock(), SPEC, "</s>", 100)
    assert rewards(ours, [text], gold="2125", written="2,125") == [1.0]


def test_a_completion_that_ran_into_the_limit_earns_nothing():
    assert only({})(GOOD, terminated=False) == 0.0


def test_a_right_answer_in_the_wrong_format_earns_half_for_the_first_part_of_the_training():
    bare = f"{SS}72{SE}"
    score = only({"format_anneal": 0.3})
    assert [score(bare, step=step) for step in (0, 2, 3, 9)] == [0.5, 0.5, 0.0, 0.0]
    assert score(GOOD, step=0) == 1.0 and score("72", step=0) == 0.0


def test_well_formed_wants_the_reasoning_and_a_short_solution():
    assert well_formed(f"{RS}two words{RE}{SS}1{SE}", SPEC, 2)
    assert not well_formed(f"{RS}word{RE}{SS}1{SE}", SPEC, 2)
    assert not well_formed(f"{RS}word{RE}{SS}{'1' * 65}{SE}", SPEC)
    assert not well_formed(f"{RS}{RS}word{RE}{SS}1{SE}", SPEC)


def test_the_format_check_is_linear_in_the_text():
    assert not well_formed((RS + RE) * 200_000, SPEC)


def test_accuracy_format_and_what_was_extracted_are_logged_whatever_the_reward():
    for name in ("verifiable", "legacy_seed001"):
        first, *others = reward_parts(RewardBlock(name=name), SPEC, "</s>", 100)
        logs = {}
        rewards(first, [GOOD, "it is 72", "no"], logs=logs)
        assert logs["acc_robust"] == pytest.approx(2 / 3) and logs["format_ok"] == pytest.approx(1 / 3)
        assert logs["extracted"] == ["72", "72", None] and logs["id"] == ["q-0", "q-1", "q-2"]
        for part in others:
            silent = {}
            rewards(part, [GOOD], logs=silent)
            assert not silent


def test_parts_have_the_names_that_curves_are_found_under():
    parts = reward_parts(RewardBlock(name="legacy_unsloth_v2"), SPEC, "</s>", 100)
    assert [part.__name__ for part in parts] == [
        "match_format_exactly",
        "match_format_approximately",
        "check_answer",
        "check_numbers",
    ]
    assert [rewards(part, [GOOD])[0] for part in parts] == [3.0, 1.5, 5.0, 3.5]


def test_an_end_that_is_missing_and_a_length_near_the_limit_cost_something():
    block = RewardBlock(missing_end_penalty=0.1, soft_punish_cache=20)
    _, end, long = reward_parts(block, SPEC, "</s>", 100)
    assert rewards(end, [GOOD], terminated=False) == [-0.1] and rewards(end, [GOOD]) == [0.0]
    lengths = {80: 0.0, 90: -0.5, 100: -1.0, 101: -1.0}
    assert {tokens: rewards(long, [GOOD], tokens=tokens)[0] for tokens in lengths} == lengths


def test_parts_can_be_sent_to_another_process():
    parts = reward_parts(RewardBlock(name="legacy_unsloth_v1", soft_punish_cache=8), SPEC, "</s>", 100)
    again = pickle.loads(pickle.dumps(parts))
    assert [rewards(part, [GOOD]) for part in again] == [rewards(part, [GOOD]) for part in parts]


def test_a_reward_is_named_or_a_block():
    class Named(BaseRecipe):
        reward: Reward = RewardBlock()

    assert Named(reward="legacy_seed001").reward.name == "legacy_seed001"
    assert Named(reward={"format_anneal": 0.2}).reward.name == "verifiable"
    with pytest.raises(ValueError, match="legacy_unsloth_v1"):
        Named(reward="legacy")
