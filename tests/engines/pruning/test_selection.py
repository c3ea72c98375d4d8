from engines.pruning import selection
from engines.pruning.overlap import contaminated, distinct_share, share_within, similarity
from engines.pruning.selection import Solution, pick, skeleton, without_repetitions


def solutions(*reasonings, question="q"):
    return [Solution(question, number, text) for number, text in enumerate(reasonings)]


def samples(kept):
    return [solution.sample for solution in kept]


def test_white_space_does_not_make_a_solution_another_one():
    group = solutions("He has  five.", "He has\nfive.", "He has six.")
    assert samples(without_repetitions(group, ["text"])) == [0, 2]


def test_solutions_with_the_same_equations_are_one_whatever_their_words():
    group = solutions("First 2 + 3 = 5 then.", "We add: 2+3=5", "3 + 2 = 5", "no sums", "no sums here")
    assert samples(without_repetitions(group, ["equations"])) == [0, 2, 3, 4]


def test_solutions_that_share_most_of_their_five_grams_are_one():
    text = " ".join(f"word{n}" for n in range(40))
    group = solutions(
        text, text + " more", text.replace("word20", "other"), "something quite different from it all"
    )
    assert similarity(group[0].reasoning, group[1].reasoning) > 0.8
    assert similarity(group[0].reasoning, group[2].reasoning) < 0.8
    assert samples(without_repetitions(group, ["ngrams"])) == [0, 2, 3]
    assert samples(without_repetitions(group, [])) == [0, 1, 2, 3]


def test_a_skeleton_is_the_equations_or_else_the_words():
    assert skeleton("So 2 + 3 = 5.\nThen 5 * 2 = 10") == "2+3=5|5*2=10"
    assert skeleton("no  sums\nhere") == "no sums here"


def test_each_way_of_picking_takes_what_it_says_and_no_more_than_asked():
    group = solutions("bb bb", "a", "cccc cccc cccc", "dd")
    assert samples(pick(group, "first", 1, 0)) == [0]
    assert samples(pick(group, "shortest", 2, 0)) == [1, 3]
    assert samples(pick(group, "longest", 2, 0)) == [2, 0]
    assert sorted(samples(pick(group, "all", 9, 0))) == [0, 1, 2, 3]


def test_a_random_pick_is_the_seeds_alone_and_no_favourite():
    group = solutions(*"abcd")
    assert pick(group, "random", 1, 7) == pick(list(reversed(group)), "random", 1, 7)
    picked = {samples(pick(solutions(*"abcd", question=f"q{n}"), "random", 1, 7))[0] for n in range(40)}
    assert picked == {0, 1, 2, 3}


def test_a_diverse_pick_takes_what_is_least_like_the_ones_before():
    group = solutions("2+3=5 apples", "2+3=5 apple", "completely other words")
    chosen = samples(pick(group, "diverse", 2, 0))
    assert 2 in chosen and len(chosen) == 2


def test_overlap_with_another_text_and_distinct_n_grams():
    assert share_within("a b c d", "a b c x") == 0.5
    assert share_within("", "a b c") == 0.0
    assert distinct_share(["a b c", "a b c"]) == 0.5
    assert distinct_share([]) == 0.0


def test_questions_that_share_eight_words_with_the_test_are_found():
    test = ["How many apples does Tom have in his big red box now?"]
    near = "Say: how many apples does Tom have in his pocket?"
    assert contaminated([near, "How many apples does Anna have?", test[0]], test) == [True, False, True]
    assert contaminated(["short one"], ["short one"]) == [True]


def test_a_diverse_pick_of_many_compares_every_pair_once(monkeypatch):
    """RFT samples a hundred solutions to each of thousands of questions."""
    compared = []
    likeness = selection._likeness
    monkeypatch.setattr(selection, "_likeness", lambda a, b: compared.append((a, b)) or likeness(a, b))
    group = [Solution("e", n, f"{n} + {n * n} = {n + n * n}") for n in range(20)]
    chosen = pick(group, "diverse", 20, 0)
    assert sorted(one.sample for one in chosen) == list(range(20))
    assert len(compared) == 20 * 19 // 2
    for place in range(1, 20):  # each is the one least like its most similar predecessor
        before, left = chosen[:place], chosen[place:]
        worst = [max(likeness(one.reasoning, other.reasoning) for other in before) for one in left]
        assert worst[0] == min(worst)
