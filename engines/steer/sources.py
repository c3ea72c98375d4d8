"""From questions to directions: texts of right and wrong answers, their audit, their activations, and the controls."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Literal

from engines.prompts.rendering import token_ids
from engines.steer.audit import Audit, audit, require_no_leak
from engines.steer.directions import Directions, directions
from engines.steer.extraction import extract, find_directions, readable
from engines.steer.journal import Batches, kept_rows, write_json
from engines.steer.pairs import Side, answer_pairs, anticipating, balanced, mixed_outcomes, step_pairs
from engines.steer.probes import probe_layers
from engines.steer.sites import find_decoder
from engines.steer.store import Activations
from engines.steer.subject import Subject
from engines.steer.vectors import (
    Raw,
    orthogonalised,
    random_directions,
    random_in_pca,
    shuffled,
    without_covariate,
)
from engines.tasks.loading import data_hash
from engines.tasks.scored import from_fields

Role = Literal["tested", "null", "rival"]
"""What a direction is searched for: its own sake, what a search finds in nothing, or as another account of a gain."""
FILE = "vectors.json"
_HELD_OUT = 4
"""One question in so many of the pairs, as many as the heat map takes, is kept for its margins and makes no direction."""

_COMPONENTS = 20
"""Principal directions of the activations that `random_in_pca` draws among."""


@dataclass(frozen=True, eq=False)
class Sources:
    """Directions by the name of the study that searches along them; those under test first."""

    found: Mapping[str, Directions]
    roles: Mapping[str, Role]
    held_out: list[Side]
    """Texts of questions that no direction was made from."""


def find_sources(subject: Subject) -> Sources:
    """Read the pairs and find all directions; leaves `vectors.json`."""
    recipe = subject.recipe
    sides, verdict, was_balanced = _audited(subject, _sides(subject))
    made, held_out = _apart(sides, recipe.heatmap_texts)
    vectors = recipe.vectors
    read = extract(
        subject.model,
        subject.tokenizer,
        subject.spec,
        made,
        site=vectors.site,
        read=vectors.read,
        directory=_store(subject),
        identity=subject.identity,
        data_hash=data_hash(subject.splits.vectors),
        pairs={**vectors.model_dump(), "seed": subject.run.seed},
        layers=searched_layers(subject),
        batch_size=recipe.batch_size,
    )
    found: dict[str, Directions] = {
        method: find_directions(read, vectors.site, method) for method in vectors.methods
    }
    roles: dict[str, Role] = dict.fromkeys(found, "tested")
    nulls = _nulls(subject, read, [found[method].unit for method in vectors.methods])
    length, rivals = _without_length(subject, made, read, found[vectors.methods[0]])
    found |= nulls | rivals
    for name in found:
        roles.setdefault(name, "null" if name in nulls else "rival")
    path = subject.run.dir / FILE
    if not path.is_file():
        write_json(
            path,
            {
                "sides": len(sides),
                "questions": len(set(read.questions)),
                "held_out": len(held_out),
                "audit": asdict(verdict),
                "balanced": was_balanced,
                "norm_ref": dict(zip(read.layers, read.norm_ref, strict=True)),
                "probes": [asdict(row) for row in probe_layers(read)],
                "length_cosine": length,
                "directions": {
                    name: {"raw_norm": dict(zip(one.layers, one.raw_norm, strict=True)), "role": roles[name]}
                    for name, one in found.items()
                },
            },
        )
    return Sources(found, roles, held_out)


def searched_layers(subject: Subject) -> list[int]:
    asked = subject.recipe.search.layers
    return sorted(set(asked)) if asked else list(range(len(find_decoder(subject.model).blocks)))


def _store(subject: Subject) -> Path:
    return (subject.run.cache or subject.run.dir / "cache") / "activations"


def _sides(subject: Subject) -> list[Side]:
    """The texts of the recipe's scheme."""
    vectors, examples = subject.recipe.vectors, subject.splits.vectors
    if vectors.pairs == "P0":
        return answer_pairs(subject.tokenizer, subject.spec, examples, subject.run.seed)
    if vectors.pairs == "P1":
        return step_pairs(subject.tokenizer, subject.spec, examples, subject.run.seed)
    count, sampling = vectors.num_samples, subject.recipe.thinking
    asked = [(example, sample, None) for example in examples for sample in range(count)]

    def make(missing: list[int]) -> Batches:
        for batch in subject.answers([asked[place] for place in missing], sampling):
            yield [(missing[place], asdict(row)) for place, row in batch]

    keys = [f"{example.id}/{sample}" for example, sample, _ in asked]
    inputs = [subject.asked, data_hash(examples), sampling.model_dump(), subject.run.seed]
    rows = kept_rows(subject.run.dir / "samples.jsonl", inputs, keys, make, subject.tick)
    scored = [from_fields(row) for row in rows]
    if vectors.read == "prompt_last":
        return anticipating(subject.tokenizer, subject.spec, scored)
    return mixed_outcomes(subject.tokenizer, subject.spec, scored)


def _audited(subject: Subject, sides: list[Side]) -> tuple[list[Side], Audit, bool]:
    """The sides, or where their surface tells right from wrong, those of like length; and the verdict on them.

    Prompts alone (`prompt_last`) have no completions whose surface could tell anything."""
    if subject.recipe.vectors.read == "prompt_last":
        return sides, Audit(True, 0.5, 0.0, 1.0, {}), False
    verdict = audit(subject.tokenizer, sides, subject.run.seed)
    if verdict.passed:
        return sides, verdict, False
    sides = balanced(subject.tokenizer, sides)
    verdict = audit(subject.tokenizer, sides, subject.run.seed)
    if not verdict.passed:
        if subject.recipe.vectors.on_leak == "refuse":
            require_no_leak(verdict)
        subject.run.events.message(
            f"right and wrong texts can be told apart by their surface (AUC {verdict.auc:.2f}, 95 %: "
            f"{verdict.low:.2f} to {verdict.high:.2f}), in pairs of like length still",
            "warning",
        )
    return sides, verdict, True


def _apart(sides: Sequence[Side], most: int) -> tuple[list[Side], list[Side]]:
    """Sides of questions for directions, and of those that are kept apart."""
    questions = list(dict.fromkeys(side.question for side in sides))
    apart = set(questions[_HELD_OUT - 1 :: _HELD_OUT][:most])
    return (
        [side for side in sides if side.question not in apart],
        [side for side in sides if side.question in apart],
    )


def _without_length(
    subject: Subject, made: Sequence[Side], read: Activations, tested: Directions
) -> tuple[dict[int, float] | None, dict[str, Directions]]:
    """The cosine of the direction with that of the texts' length by layer, and the direction without the latter.

    Nothing where right and wrong texts of a question are all equally long: there is no such direction then."""
    if not subject.recipe.controls.without_length:
        return None, {}
    texts = readable(subject.tokenizer, made, subject.spec, subject.recipe.vectors.read)
    lengths = [float(len(token_ids(subject.tokenizer, side.completion))) for side in texts]
    raw = tested.unit * tested.unit.new_tensor(tested.raw_norm)[:, None]
    rest = without_covariate(raw, read.values, lengths, read.questions)
    if rest is None:
        subject.run.events.message(
            "`without_length`: the texts of each question are equally long, so that length has no direction to take out"
        )
        return None, {}
    name = "without_length"
    found = directions(subject.recipe.vectors.site, name, read.layers, rest[0], read.norm_ref)
    return dict(zip(read.layers, rest[1], strict=True)), {name: found}


def _nulls(subject: Subject, read: Activations, tested: Sequence[Raw]) -> dict[str, Directions]:
    """Directions that mean nothing, as strong as those that do.

    What lies along the directions under test is taken out: the labels' shuffling leaves a rest of it, of random sign, and
    a search over both signs would find the effect itself there."""
    site, controls, seed = subject.recipe.vectors.site, subject.recipe.controls, subject.run.seed
    size = read.values.shape[-1]
    raw = {
        f"random-{number}": random_directions(len(read.layers), size, 1000 * seed + number)
        for number in range(controls.random)
    }
    raw |= {
        f"random_in_pca-{number}": random_in_pca(read.values, _COMPONENTS, 1000 * seed + number)
        for number in range(controls.random_in_pca)
    }
    raw |= {
        f"shuffled-{number}": shuffled(read.values, read.labels, read.questions, 1000 * seed + number)
        for number in range(controls.shuffled)
    }
    basis: list[Raw] = []
    for one in tested:
        basis.append(reduce(orthogonalised, basis, one))
    return {
        name: directions(site, name, read.layers, reduce(orthogonalised, basis, one), read.norm_ref)
        for name, one in raw.items()
    }
