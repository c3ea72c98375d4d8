"""The attack matrix, at every layer that this machine has."""

import pytest

from engines.sandbox import Layer, open_sandbox
from engines.sandbox.attacks import ATTACKS
from engines.sandbox.drill import run_drill, try_attack

BY_NAME = {attack.name: attack for attack in ATTACKS}


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox(workers=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def bare():
    with open_sandbox(guards=["limits"], workers=1) as opened:
        yield opened


@pytest.mark.parametrize("name", BY_NAME)
def test_the_best_layer_holds_every_attack(sandbox, name):
    attack = BY_NAME[name]
    if sandbox.layer < attack.held_from or (not attack.spares and sandbox.layer < Layer.L1):
        pytest.skip(f"held from layer {attack.held_from.name} on, this machine has {sandbox.layer.name}")

    gains, _ = try_attack(sandbox, attack)

    assert gains == []


@pytest.mark.parametrize(
    "name", [a.name for a in ATTACKS if a.held_from == Layer.L0 and a.spares and a.family != "exhaustion"]
)
def test_even_the_lowest_layer_gives_no_points_to_an_attack_on_the_verdict(bare, name):
    gains, _ = try_attack(bare, BY_NAME[name])

    assert gains == []


def test_the_drill_notices_what_the_lowest_layer_cannot_hold(bare):
    unheld = {
        drill.attack: drill.detail
        for drill in run_drill(bare, tuple(BY_NAME[n] for n in ("test-file", "write-outside")))
    }

    assert "expected tokens" in unheld["test-file"] and "wrote outside" in unheld["write-outside"]


def test_what_could_hit_this_machine_is_not_tried_at_the_lowest_layer(bare):
    (drill,) = run_drill(bare, (BY_NAME["kill-all"],))

    assert drill.result == "not tried"


def test_names_are_used_once():
    assert len(BY_NAME) == len(ATTACKS)
