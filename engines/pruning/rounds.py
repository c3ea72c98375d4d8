"""The parts of a round of learning from one's own solutions. Each does nothing where its files are there already."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from engines.pruning import round_files as files
from engines.pruning.collapse import falls, narrowing, think_statistics
from engines.pruning.hints import hinted_question
from engines.pruning.judging import compared, judged
from engines.pruning.policies import Policies
from engines.pruning.prune import Rules, as_example, by_question, eval_part, right_solutions, split_rows
from engines.pruning.questions import thought_about
from engines.pruning.reporting import leave_result, report_round
from engines.pruning.round_fields import RoundsRecipe
from engines.pruning.selection import Solution
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.tasks.example import Example
from engines.tasks.loading import load_examples
from engines.tasks.scored import ScoredExample
from engines.training.budget import Meter
from engines.training.part_events import PartEvents
from engines.training.record import RECORD
from engines.training.supervised import train_supervised


class Rounds:
    """The rounds of one job. Round 0 is the model that it starts from, which is only evaluated."""

    def __init__(self, recipe: RoundsRecipe, run: Run) -> None:
        self.recipe = recipe
        self.run = run
        self.meter = Meter(run.dir)
        self.policies = Policies(recipe, run)
        self.spec = self.policies.spec
        self.questions = thought_about(recipe, run)
        self.by_id = {example.id: example for example in self.questions}
        self.held_out = eval_part(self.questions, recipe.eval_samples)
        evaluation = recipe.evaluation
        self.dev = load_examples(recipe.task, "dev")[: evaluation.dev_limit]
        self.reported = load_examples(recipe.task, evaluation.split)[: evaluation.limit]

    def __enter__(self) -> "Rounds":
        return self

    def __exit__(self, *_: object) -> None:
        self.policies.close()
        self.meter.save()

    def think(self, number: int) -> bool:
        """Sample solutions from the model of the round before. False: asked to stop first."""
        thinking = self.recipe.thinking
        samples = self._answers(number, files.SAMPLES, number - 1, self.questions, thinking)
        if samples is None:
            return False
        if not (self._dir(number) / f"e{thinking.num_samples - 1}.json").is_file():
            files.write_answer_files(self._dir(number), samples)
        if not self.recipe.rationalize:
            return True
        solved = {solution.example_id for solution in right_solutions(samples, self._rules, self.spec)[0]}
        hint = self.recipe.hint
        hinted = [
            replace(example, question=hinted_question(hint, example.question, example.answer))
            for example in self.questions
            if example.id not in solved
        ]
        once = thinking.model_copy(update={"num_samples": 1})
        return self._answers(number, files.HINTED, number - 1, hinted, once) is not None

    def prune(self, number: int) -> None:
        """Keep what may be trained on, and choose the rows of the round."""
        directory = self._dir(number)
        if (directory / files.STATISTICS).is_file():
            return
        samples = files.read_rows(directory / files.SAMPLES)
        own, counts = right_solutions(samples, self._rules, self.spec)
        first = number if self.recipe.data == "replace" else 1
        pool = [solution for t in range(first, number + 1) for solution in self._solutions(t)]
        chosen = by_question(pool, self._rules)
        if self.recipe.add_gold:
            for example in self.questions:
                gold = Solution(example.id, -1, example.reasoning, source="gold")
                chosen[example.id] = [*chosen.get(example.id, []), gold]
        kept = [solution for example in self.questions for solution in chosen.get(example.id, [])]
        rows, evaluation = split_rows(chosen, self.questions, self.held_out, self.recipe.train_size)
        think = think_statistics(samples, self.recipe.grader, self.spec)
        files.write_pass_at_k(directory, think)
        for name, solutions in (("correct_answers", kept), ("train", rows), ("eval", evaluation)):
            files.write_solutions(directory / f"{name}.json", solutions, self.by_id)
        statistics = {
            "questions": len(self.questions),
            **counts,
            "right": len(own),
            "kept": len(kept),
            "yield": len({solution.example_id for solution in own}) / len(self.questions),
            "rows": len(rows),
            "eval_rows": len(evaluation),
            "generated_tokens": sum(row.tokens for row in samples),
            **think,
        }
        files.write_json(directory / files.STATISTICS, statistics)
        values = {name: float(statistics[name]) for name in ("yield", "distinct", "rows")}
        self.run.events.metrics(files.steps_up_to(self.run.dir, number - 1), values)

    def must_not_train(self, number: int) -> bool:
        """Whether the rounds end before this one trains; says why. Too little in the first round is an error."""
        statistics, wanted = files.statistics_of(self.run.dir, number), self.recipe.train_size or 1
        reason = None
        if statistics["rows"] < wanted:
            asked = self.recipe.train_size
            reason = f"{statistics['rows']} rows were kept" + (
                f", of {asked} that a round trains on" if asked else ""
            )
            if number == 1:
                where, less = ("train_size: ", "lower it, ") if asked else ("", "")
                raise RecipeError(
                    f"{where}{reason}",
                    hint=f"{less}ask more questions, or raise `num_samples`; r1/stats.json says what was left out",
                )
        elif number > 1:
            before, stop = files.statistics_of(self.run.dir, number - 1), self.recipe.stop
            reason = narrowing(before, statistics, stop.max_pass_drop, stop.max_distinct_drop)
        if reason is not None:
            self.run.events.message(f"round {number} does not train: {reason}", "warning")
        return reason is not None

    def train(self, number: int) -> bool:
        """Train on the rows of the round. False: asked to stop first."""
        directory = self._dir(number)
        if (directory / RECORD).is_file():
            return True
        self.policies.close()
        start = self.policies.model(0 if self.recipe.train_from == "base" else number - 1)
        rows, evaluation = (self._examples(directory / name) for name in ("train.json", "eval.json"))
        events = PartEvents(
            self.run.dir,
            directory.name,
            first_step=files.steps_up_to(self.run.dir, number - 1),
            parts_done=3 * number - 1,
            parts=self._parts,
        )
        part = self.run.part(directory, events)
        record = train_supervised(
            self.recipe.model_copy(update={"model": start}),
            part,
            rows,
            evaluation if self.recipe.eval_steps else [],
            stage="tpt",
            about={
                "round": number,
                "train_from": self.recipe.train_from,
                "model": start.model_dump(mode="json"),
            },
            meter=self.meter,
            rounding_is_wanted=self.recipe.rounding_is_wanted,
        )
        events.close()
        self.run.stopped_early = part.stopped_early
        return record is not None

    def evaluate(self, number: int) -> bool:
        """Answers to the dev and the reported questions, and the scores of them. False: asked to stop first."""
        directory = self._dir(number)
        fresh = not (directory / files.SCORES).is_file()
        shutil.rmtree(directory / "checkpoints", ignore_errors=True)  # what they were for is done
        if fresh:
            dev = self._answers(number, files.DEV, number, self.dev, self.recipe.greedy)
            greedy = self._answers(number, files.GREEDY, number, self.reported, self.recipe.greedy)
            sampled: list[ScoredExample] | None = []
            if self.recipe.sampled is not None:
                sampled = self._answers(number, files.SAMPLED, number, self.reported, self.recipe.sampled)
            if dev is None or greedy is None or sampled is None:
                return False
            earlier = {"against_base": 0, "against_previous": number - 1} if number else {}
            others = {name: files.read_rows(self._dir(t) / files.GREEDY) for name, t in earlier.items()}
            scores = judged(greedy, sampled, dev)
            files.write_pass_at_k(directory / "eval", {score.name: score.value for score in scores})
            files.write_json(directory / files.SCORES, compared(scores, greedy, others))
        report_round(self.run, number, fresh=fresh)
        return True

    def must_not_go_on(self) -> bool:
        """Whether accuracy on dev has fallen too often; says so."""
        done = files.evaluated(self.run.dir)
        on_dev = {number: files.scores_of(self.run.dir, number)["dev_robust"]["value"] for number in done}
        fell = falls(on_dev, self.recipe.stop.delta)
        if len(fell) < self.recipe.stop.drops:
            return False
        places = " and ".join(map(str, fell))
        self.run.events.message(f"no further round: accuracy on dev fell in round {places}", "warning")
        return True

    def finish(self, about: dict[str, Any]) -> None:
        """Leave the result of the job."""
        self.meter.save()
        leave_result(self.recipe, self.run, self.reported, self.meter.budget, about)
        self.run.events.progress(self._parts, self._parts, "part")

    def _answers(
        self, number: int, name: str, policy: int, examples: Sequence[Example], sampling: SamplingBlock
    ) -> list[ScoredExample] | None:
        """The answers in a file of a round. Rounds are judged with the same random numbers, but think with their own."""
        thinks = name in (files.SAMPLES, files.HINTED)
        parts_done = 3 * number - 2 if thinks else 3 * number
        seed = self.run.seed + (number if thinks else 0)

        def on_progress(share: float) -> None:
            self.meter.save()
            self.run.events.progress(round(parts_done + share, 3), self._parts, "part")

        return self.policies.answers(policy, examples, sampling, seed, self._dir(number) / name, on_progress)

    def _solutions(self, number: int) -> list[Solution]:
        """All right solutions of a round, those with a hint for the questions that have no other."""
        first = (number - 1) * self.recipe.num_samples
        rows = files.read_rows(self._dir(number) / files.SAMPLES)
        solutions, _ = right_solutions(rows, self._rules, self.spec, first=first)
        if self.recipe.rationalize:
            rows = files.read_rows(self._dir(number) / files.HINTED)
            solutions += right_solutions(rows, self._rules, self.spec, source="rationalized", first=first)[0]
        return solutions

    def _examples(self, path: Path) -> list[Example]:
        return [
            as_example(solution, self.by_id[solution.example_id], self.recipe.grader)
            for solution in files.read_solutions(path)
        ]

    def _dir(self, number: int) -> Path:
        directory = files.round_dir(self.run.dir, number)
        (directory / "eval").mkdir(parents=True, exist_ok=True)
        return directory

    @property
    def _parts(self) -> int:
        return 3 * self.recipe.rounds + 1

    @cached_property
    def _rules(self) -> Rules:
        names = ("grader", "finished_only", "step_check", "dedupe", "pick", "max_per_question")
        return Rules(**{name: getattr(self.recipe, name) for name in names}, seed=self.run.seed)
