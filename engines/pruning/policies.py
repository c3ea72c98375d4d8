"""The models of the rounds as generators: one is open at a time, and what it answers is kept in the round's files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from engines.generation.generator import Generator
from engines.generation.open import open_generator
from engines.generation.scoring import scored_batches
from engines.modeling.loading import choose_device, load_tokenizer
from engines.prompts.rendering import resolve_prefill
from engines.pruning.round_fields import RoundsRecipe
from engines.pruning.round_files import read_rows, round_dir, write_rows
from engines.recipe.blocks import ModelBlock, SamplingBlock
from engines.run import Run
from engines.tasks.example import Example
from engines.tasks.scored import ScoredExample


class Policies:
    """Policy 0 is the recipe's model, policy t what round t trained."""

    def __init__(self, recipe: RoundsRecipe, run: Run) -> None:
        self._recipe = recipe
        self._run = run
        self._tokenizer = load_tokenizer(recipe.model, run)
        self.spec = resolve_prefill(self._tokenizer, recipe.prompt)
        self._open: tuple[int, Generator] | None = None

    def model(self, number: int) -> ModelBlock:
        if number == 0:
            return self._recipe.model
        place = {"base": str(round_dir(self._run.dir, number) / "model"), "from_": None, "revision": None}
        return self._recipe.model.model_copy(update=place)

    def answers(
        self,
        policy: int,
        examples: Sequence[Example],
        sampling: SamplingBlock,
        seed: int,
        path: Path,
        on_progress: Callable[[float], None],
    ) -> list[ScoredExample] | None:
        """Answers from the file, or generated and written to it. None: the run was asked to stop first.

        `on_progress` is given the share that is done. What was generated before a stop or a kill is in the cache.
        """
        if path.is_file():
            return read_rows(path)
        if self._stops():
            return None
        total = len(examples) * sampling.num_samples
        found: dict[int, ScoredExample] = {}
        if examples:
            generator = self._generator(policy)
            for batch in scored_batches(generator, self._tokenizer, self.spec, examples, sampling, seed):
                found.update(batch)
                on_progress(len(found) / total)
                if len(found) < total and self._stops():
                    return None
        rows = [found[place] for place in range(total)]
        write_rows(path, rows)
        return rows

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
        self._open = None

    def _generator(self, policy: int) -> Generator:
        if self._open is None or self._open[0] != policy:
            self.close()
            device = choose_device(self._recipe.device)
            opened = open_generator(
                self.model(policy),
                self._recipe.generation,
                self._run,
                tokenizer=self._tokenizer,
                device=device,
            )
            self._open = policy, opened
        return self._open[1]

    def _stops(self) -> bool:
        self._run.stopped_early = self._run.stopped_early or self._run.stop_requested
        return self._run.stopped_early
