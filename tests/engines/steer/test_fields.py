import pytest

from engines.steer.fields import SteeringRecipe


def recipe(**fields):
    return SteeringRecipe.model_validate({"model": {"base": "pocket"}, "task": "pocket-math", **fields})


def test_the_recipe_says_beforehand_what_its_questions_can_show():
    [remark] = recipe(splits={"search": 20, "confirm": 700}).remarks()
    assert "search (20) all" in remark and "confirm (700) +4 points" in remark


def test_the_ladder_has_both_signs_within_the_range_and_no_zero():
    search = {"ladder": [0, 0.1, 0.2, 0.5], "alphas": {"low": -0.1, "high": 0.3}}
    assert recipe(search=search).ladder == [-0.1, 0.1, 0.2]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"search": {"alphas": {"low": 0.1, "high": 0.3}}}, "less than or equal to 0"),
        ({"search": {"ladder": [0.9]}}, "no strength within"),
        ({"search": {"kinds": ["dac"], "where": {"prompt": "all"}}}, "needs `op: add`"),
        ({"vectors": {"pairs": "P1", "read": "prompt_last"}}, "needs `pairs: P2`"),
        ({"vectors": {"methods": ["pca", "pca"]}}, "names one twice"),
    ],
)
def test_what_cannot_be_searched_is_refused(fields, text):
    with pytest.raises(ValueError, match=text):
        recipe(**fields)


def test_no_controls_and_no_gates_are_remarked_upon():
    remarks = recipe(controls={"random": 0, "random_in_pca": 0, "shuffled": 0}, gates=False).remarks()
    assert len(remarks) == 3 and "without controls" in remarks[1] and "gates: false" in remarks[2]
