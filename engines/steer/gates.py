"""What must hold before a search is worth starting: ten gates, on the model, precision and device that it will run on.

Each gate gives a row {name, passed, figures, why}. Two ways of computing are compared bit for bit only in equal shapes:
kernels may round by shape. Across shapes, the model without steering says how far apart rounding alone takes them.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
from engines.recipe.errors import RecipeError
from engines.run import write_whole
from engines.steer.bench import Bench, Figures, alone, apart, count_hooks, only_rounding, outputs_around
from engines.steer.generate import SteeredGenerator, steered_requests
from engines.steer.hooks import steered
from engines.steer.scorer_gate import scorer

Verdict = tuple[bool, Figures, str]
"""Whether the gate is passed, what was measured, and what it means where it is not."""


@dataclass(frozen=True)
class Gate:
    """The outcome of one gate."""

    name: str
    passed: bool
    figures: Figures
    why: str = ""
    """What failed; empty where nothing did."""


def alpha_zero(bench: Bench) -> Verdict:
    """G1: at strength 0, with the hooks on, logits and tokens are bit for bit those without."""
    zero = [bench.steering(0.0, *bench.layers)] * len(bench.stepper.ids)
    plain = bench.plain
    with steered(bench.model, zero, bench.stepper.prompt_mask):
        hooked = bench.stepper.cached()
    requests = requests_for(bench.prompts, 1)
    expected = complete(
        HfGenerator(bench.model, bench.tokenizer, bench.batch_size), requests, bench.sampling, [], 0
    )
    generator = SteeredGenerator(bench.model, bench.tokenizer, bench.batch_size, zero[:1])
    found = complete(generator, steered_requests(requests, zero[:1]), bench.sampling, [], 0)
    same = sum(one.token_ids == other.token_ids for one, other in zip(expected, found, strict=True))
    figures = {**apart(plain, hooked), "prompts": len(requests), "same_completions": same}
    passed = torch.equal(plain, hooked) and same == len(requests)
    return passed, figures, "hooks at strength 0 change the output"


def zero_among_others(bench: Bench) -> Verdict:
    """G2: rows of strength 0 among rows of other strengths and layers are bit for bit unsteered."""
    plain = bench.plain
    with steered(bench.model, bench.rows, bench.stepper.prompt_mask):
        mixed = bench.stepper.cached()
    off = [place for place, row in enumerate(bench.rows) if row is None or row.spec.alpha == 0]
    figures = {**apart(plain[off], mixed[off]), "rows": len(off)}
    passed = torch.equal(plain[off], mixed[off])
    return passed, figures, "a steered row reaches its neighbours"


def mixed_rows(bench: Bench) -> Verdict:
    """G3: a row is the same among others as among its like: its tokens, and the figures say whether its bits."""
    with steered(bench.model, bench.rows, bench.stepper.prompt_mask):
        mixed = bench.stepper.cached()
    alike = torch.empty_like(mixed)
    for kind in dict.fromkeys(bench.rows):
        places = [place for place, row in enumerate(bench.rows) if row is kind]
        with steered(bench.model, [kind] * len(bench.rows), bench.stepper.prompt_mask):
            alike[places] = bench.stepper.cached()[places]
    passed, figures = only_rounding(mixed, alike, bench.plain, bench.plain)
    return passed, figures, "a row depends on how its neighbours are steered"


def cache_or_not(bench: Bench) -> Verdict:
    """G4: with a key-value cache and without, the same tokens are steered."""
    one, other = bench.plain, bench.stepper.whole()
    with steered(bench.model, bench.rows, bench.stepper.prompt_mask):
        passed, figures = only_rounding(bench.stepper.cached(), bench.stepper.whole(), one, other)
    return passed, figures, "steps with a cache are steered otherwise than a whole text"


def removal(bench: Bench) -> Verdict:
    """G5: after the context, and after an error in it, no hook is left and the outputs have their old bits."""
    stepper = bench.stepper
    plain, before = bench.plain, count_hooks(bench.model)
    try:
        with steered(bench.model, bench.rows, stepper.prompt_mask):
            changed = not torch.equal(stepper.cached(), plain)
            raise InterruptedError
    except InterruptedError:
        left = count_hooks(bench.model) - before
    figures = {"hooks_left": left, "changed_inside": int(changed), **apart(plain, stepper.cached())}
    passed = left == 0 and changed and torch.equal(plain, stepper.cached())
    return passed, figures, "hooks are left behind, or never did anything"


def realised_shift(bench: Bench) -> Verdict:
    """G6: what is added has the length alpha * norm_ref at the steered tokens, and is 0 at all others, padding included."""
    stepper = bench.stepper
    worst, elsewhere, counted = 0.0, 0.0, 0
    for layer in bench.layers:
        for prompt in ("last", "all"):
            row = bench.directions.steering([layer], bench.alpha, where={"prompt": prompt})
            before, after, at = outputs_around(bench, row, layer)
            chosen = stepper.mask.bool()
            if prompt == "last":
                chosen = chosen & (torch.arange(chosen.shape[1], device=chosen.device) >= stepper.width - 1)
            shift = (after.float() - before.float()).norm(dim=-1)
            wanted = abs(row.spec.alpha) * row.spec.norm_ref[layer]
            # Rounding a sum to the model's precision costs up to half a unit in the last place of each element.
            slack = torch.finfo(at).eps * before.float().norm(dim=-1)[chosen] + 1e-4 * wanted
            worst = max(worst, float(((shift[chosen] - wanted).abs() / slack).max()))
            elsewhere = max([elsewhere, *shift[~chosen].tolist()])
            counted += int(chosen.sum())
    figures = {"error_in_tolerances": worst, "largest_elsewhere": elsewhere, "tokens": counted}
    passed = worst <= 1 and elsewhere == 0
    return passed, figures, "what is added is not alpha * norm_ref, or not where it should be"


def chunked_prompt(bench: Bench) -> Verdict:
    """G7: a prompt that is read in pieces is steered as one that is read at once."""
    width = bench.stepper.width
    pieces = [1] + [3] * ((width - 1) // 3) + [(width - 1) % 3] * bool((width - 1) % 3)
    one, other = bench.plain, bench.stepper.cached(pieces)
    with steered(bench.model, bench.rows, bench.stepper.prompt_mask):
        passed, figures = only_rounding(bench.stepper.cached(), bench.stepper.cached(pieces), one, other)
    return passed, figures, "the end of a piece is taken for the end of the prompt"


def left_padding(bench: Bench) -> Verdict:
    """G8: a row alone, without padding, is steered as it is among longer ones."""
    stepper = bench.stepper
    one, other = bench.plain, alone(bench, [None] * len(bench.rows))
    with steered(bench.model, bench.rows, stepper.prompt_mask):
        together = stepper.cached()
    passed, figures = only_rounding(together, alone(bench, bench.rows), one, other)
    return passed, figures, "padding changes what is steered"


def sign(bench: Bench) -> Verdict:
    """G9: along the vector, +alpha moves the activations up and -alpha down, at every layer."""
    wrong, smallest, stepper = [], float("inf"), bench.stepper
    for layer in bench.layers:
        moved = []
        for alpha in (bench.alpha, -bench.alpha):
            row = bench.directions.steering([layer], alpha)
            before, after, _ = outputs_around(bench, row, layer)
            shift = (after.float() - before.float())[:, stepper.width - 1 :]
            along = shift @ row.vectors[layer].to(shift.device)
            moved.append(float(along.mean()) * (1 if alpha > 0 else -1))
        smallest = min(smallest, *moved)
        wrong += [layer] if min(moved) <= 0 else []
    figures = {"smallest_move": smallest, "layers": len(bench.layers)}
    return not wrong, figures, f"the sign of alpha does not show at layers {wrong}"


def scorer_reads(bench: Bench) -> Verdict:
    """G10: the scorer pays for gold answers, in any spelling, and for nothing else."""
    return scorer(bench.prompt, bench.examples)


GATES: dict[str, Callable[[Bench], Verdict]] = {
    "G1 strength 0 is the baseline": alpha_zero,
    "G2 strength 0 among others": zero_among_others,
    "G3 rows do not mix": mixed_rows,
    "G4 cache on and off": cache_or_not,
    "G5 hooks come off": removal,
    "G6 realised shift": realised_shift,
    "G7 prompts in pieces": chunked_prompt,
    "G8 padding on the left": left_padding,
    "G9 sign": sign,
    "G10 scorer": scorer_reads,
}


def run_gate(name: str, bench: Bench) -> Gate:
    """One gate's outcome; what it cannot even compute, it does not pass."""
    try:
        passed, figures, why = GATES[name](bench)
    except RecipeError as error:
        return Gate(name, False, {}, error.message)
    return Gate(name, passed, figures, "" if passed else why)


def run_gates(bench: Bench, directory: Path) -> list[Gate]:
    """Run all gates and write `gates.json`. RecipeError with the reasons where one fails: nothing is searched then."""
    rows = [run_gate(name, bench) for name in GATES]
    text = json.dumps([asdict(row) for row in rows], indent=2) + "\n"
    write_whole(directory / "gates.json", text)
    failed = [row for row in rows if not row.passed]
    if failed:
        reasons = "; ".join(f"{row.name}: {row.why} ({_shown(row.figures)})" for row in failed)
        raise RecipeError(
            f"steering: {len(failed)} of {len(rows)} gates failed: {reasons}",
            hint="read gates.json; try `model.attn_implementation: eager`, another dtype, or another site",
        )
    return rows


def _shown(figures: Figures) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
    )
