"""`tunedeck engine steering validate`: whether this model can be steered exactly, and how sensitive it is to being steered.

The gates first: at strength 0 the model must be itself, bit for bit. Then growing strengths along a direction that means
nothing, or along a vector that a search has left, and what becomes of the answers.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import click

from engines.events import EventWriter
from engines.recipe.bases import base_model
from engines.recipe.blocks import SteeringBlock
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.steer.directions import Directions, Steering, directions
from engines.steer.extraction import extract
from engines.steer.fields import SteeringRecipe
from engines.steer.gates import GATES, run_gate
from engines.steer.pairs import answer_pairs
from engines.steer.screening import force
from engines.steer.stages import bench_of
from engines.steer.subject import Subject, open_subject
from engines.steer.vector_file import steering_for
from engines.steer.vectors import random_directions
from engines.tasks.loading import data_hash
from engines.tasks.scored import ScoredExample
from engines.verbs.request import Request, verb

_TEXTS = 8
"""Gold solutions on which the divergence from the unsteered model is measured."""


@verb
@click.option(
    "--questions",
    type=click.IntRange(2, 10_000),
    default=32,
    help="Questions that are answered; 32 by default.",
)
@click.option(
    "--layer",
    type=click.IntRange(0),
    help="Where the direction that means nothing is added; by default the middle.",
)
@click.option(
    "--vector",
    type=click.Path(path_type=Path),
    help="A `vector.safetensors` of a search, instead of that direction.",
)
def validate(request: Request, questions: int, layer: int | None, vector: Path | None) -> None:
    """Run the gates on the recipe's model, then steer it more and more strongly. Exits with 1 where a gate fails."""
    recipe = request.job.recipe
    assert isinstance(recipe, SteeringRecipe)
    if recipe.model.from_ is not None:
        click.echo(
            f"job `{recipe.model.from_}` has not run for this: the model that it starts from is validated",
            err=True,
        )
        recipe = recipe.model_copy(update={"model": base_model(request.plan, request.job)})
    with TemporaryDirectory() as folder:
        run = Run(dir=Path(folder), events=EventWriter(Path(folder)), seed=recipe.seed)
        subject = open_subject(recipe, run)
        found = _random(subject)
        chosen = found.layers[len(found.layers) // 2] if layer is None else layer
        if chosen not in found.layers:
            raise RecipeError(
                f"--layer: there is no layer {layer}", hint=f"layers are 0 to {found.layers[-1]}"
            )
        ladder = _ladder(
            subject, found, chosen, vector, run
        )  # what is not there is told before the gates take their time
        for line in _gates(subject, found):
            click.echo(line)
        click.echo()
        for line in _sensitivity(subject, ladder, questions):
            click.echo(line)


def _random(subject: Subject) -> Directions:
    """A direction that means nothing at every layer, with the norms of the model's own activations."""
    examples = subject.splits.vectors[:64]
    read = extract(
        subject.model,
        subject.tokenizer,
        subject.spec,
        answer_pairs(subject.tokenizer, subject.spec, examples, subject.run.seed),
        site=subject.recipe.vectors.site,
        read="answer_last",
        directory=subject.run.dir,
        identity=subject.identity,
        data_hash=data_hash(examples),
        pairs={"scheme": "P0", "seed": subject.run.seed},
    )
    raw = random_directions(len(read.layers), read.values.shape[-1], subject.run.seed)
    return directions(subject.recipe.vectors.site, "random", read.layers, raw, read.norm_ref)


def _gates(subject: Subject, found: Directions) -> Iterator[str]:
    """A line a gate. Raises RecipeError behind the last where one has failed."""
    bench = bench_of(subject, found)
    failed = []
    for name in GATES:
        gate = run_gate(name, bench)
        figures = ", ".join(f"{key} {value:.3g}" for key, value in gate.figures.items())
        yield f"{'passed' if gate.passed else 'FAILED'}  {gate.name:<29} {gate.why or figures}"
        failed += [] if gate.passed else [gate.name]
    if failed:
        raise RecipeError(
            f"steering: {len(failed)} of {len(GATES)} gates failed: {', '.join(failed)}",
            hint="this model, precision and device cannot be steered exactly; try `dtype: float32` and `attn_implementation: eager`",
        )


def _ladder(
    subject: Subject, found: Directions, layer: int, vector: Path | None, run: Run
) -> list[tuple[str, Steering | None]]:
    """Strengths from 0 on, each with its name; a vector's own strength is 1 of its multiples."""
    if vector is None:
        alphas = [0.0, *sorted(alpha for alpha in subject.recipe.ladder if alpha > 0)]
        return [(f"{alpha:g}", found.steering([layer], alpha)) for alpha in alphas]
    own = steering_for(SteeringBlock(path=str(vector)), run, subject.model)
    rows: list[tuple[str, Steering | None]] = []
    for factor in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0):
        spec = own.spec.model_copy(update={"alpha": own.spec.alpha * factor})
        rows.append((f"{factor:g}x", Steering(spec, own.vectors)))
    return rows


def _sensitivity(
    subject: Subject, ladder: Sequence[tuple[str, Steering | None]], questions: int
) -> Iterator[str]:
    """A table: what becomes of the greedy answers, and of the next-token distribution on gold solutions."""
    examples = subject.splits.search[:questions]
    wanted = [(example, 0, steering) for _, steering in ladder for example in examples]
    rows: dict[int, ScoredExample] = {}
    for batch in subject.answers(wanted, subject.recipe.greedy):
        rows.update(batch)
    answers = [
        [rows[place * len(examples) + n] for n in range(len(examples))] for place in range(len(ladder))
    ]
    nats = _divergence(subject, [steering for _, steering in ladder if steering is not None])
    yield f"{'strength':>8} {'right':>7} {'changed':>8} {'fixed':>6} {'broken':>7} {'cut off':>8} {'tokens':>7} {'KL':>9}"
    for (name, _), own, divergence in zip(ladder, answers, nats, strict=True):
        pairs = list(zip(own, answers[0], strict=True))
        right = [subject.correct(one) for one, _ in pairs]
        before = [subject.correct(other) for _, other in pairs]
        yield (
            f"{name:>8} {fmean(right):>7.1%} {fmean(one.completion != other.completion for one, other in pairs):>8.1%} "
            f"{sum(a and not b for a, b in zip(right, before, strict=True)):>6} "
            f"{sum(b and not a for a, b in zip(right, before, strict=True)):>7} "
            f"{fmean(not one.terminated for one in own):>8.1%} {fmean(one.tokens for one in own):>7.1f} {divergence:>9.4f}"
        )


def _divergence(subject: Subject, steerings: Sequence[Steering]) -> list[float]:
    """Nats a token between the steered and the unsteered model on gold solutions, by steering."""
    sums = [0.0] * len(steerings)
    texts = subject.splits.screen[:_TEXTS]
    for example in texts:
        completion = subject.spec.completion(example.reasoning, example.answer).removeprefix(
            subject.spec.prefill
        )
        forced = force(subject.model, subject.tokenizer, subject.prompt(example), completion, steerings)
        sums = [total + one.kl for total, one in zip(sums, forced, strict=True)]
    return [total / len(texts) for total in sums]
