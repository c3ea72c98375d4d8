"""What people see of a run while it trains: figures by task, and the matrices of what conflicts with what."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from engines.ppo.advantage import explained_variance, same_reward_groups
from engines.ppo.batches import Row, by_unit, compared_groups
from engines.ppo.experience import Experience
from engines.ppo.learner import Operation
from engines.ppo.losses import kl_estimate
from engines.run import write_whole
from engines.surgery.statistics import calibrate, conflict, cosines, effect

JOURNAL = "surgery.jsonl"
COSINES = "cosines.csv"


def experience_figures(seen: Experience, units: Sequence[str], *, critic: bool) -> dict[str, float]:
    """Means over all completions, and by unit what differs between them. What a grader failed on has no reward to count."""
    known = torch.tensor([row.outcome != "error" for row in seen.rows])
    rewards = torch.tensor([row.reward for row in seen.rows])
    groups = torch.tensor(compared_groups(seen.rows))
    same = same_reward_groups(rewards, groups).float()
    tokens = seen.mask.sum().clamp(min=1)
    found = {
        "train_reward_mean": float(rewards[known].mean()),
        "entropy": float((seen.entropies * seen.mask).sum() / tokens),
        **_counts(seen.rows),
        "zero_advantage": float(same.mean()),
    }
    if seen.reference is not None:
        found["kl"] = float((kl_estimate(seen.old_logps, seen.reference, "k3") * seen.mask).sum() / tokens)
    if seen.rows[0].sampled_logps is not None:
        found["sampling_kl"] = _mismatch(seen)
    for unit, own in by_unit(seen.units, range(len(seen.rows))).items():
        name = units[unit]
        earned = rewards[own][known[own]]
        found[f"reward/{name}"] = float(earned.mean())
        found[f"zero_advantage/{name}"] = float(same[own].mean())
        found[f"zero_reward/{name}"] = float((earned == 0).float().mean())
        found[f"degenerate/{name}"] = float(unit in seen.degenerate)
        if critic:
            figure = explained_variance(seen.values[own], seen.returns[own], seen.mask[own])
            found[f"explained_variance/{name}"] = figure
    return {name: value for name, value in found.items() if value == value}


def validation_figures(rows: Sequence[Row]) -> dict[str, float]:
    """The mean reward of each task, the mean over tasks, and over questions; a grader's error counts in none."""
    scores: dict[str, list[float]] = {}
    for row in rows:
        if row.outcome != "error":
            scores.setdefault(row.item.task, []).append(row.score)
    if not scores:
        return {}
    means = {task: sum(own) / len(own) for task, own in scores.items()}
    everything = [score for own in scores.values() for score in own]
    return {
        "validation_reward_mean": sum(means.values()) / len(means),
        "validation_reward_micro": sum(everything) / len(everything),
        **{f"validation_reward/{task}": mean for task, mean in means.items()},
    }


def _counts(rows: Sequence[Row]) -> dict[str, float]:
    count = len(rows)
    return {
        "length": sum(len(row.response_ids) for row in rows) / count,
        "truncated": sum(row.truncated for row in rows) / count,
        "format_rate": sum(row.in_format for row in rows) / count,
        "fallback_rate": sum(row.fallback for row in rows) / count,
        "grader_errors": float(sum(row.outcome == "error" for row in rows)),
    }


def _mismatch(seen: Experience) -> float:
    """Divergence of the model that trains from the one that generated, in nats a token (k3)."""
    width = seen.mask.shape[1]
    sampled = torch.tensor(
        [[*(row.sampled_logps or []), *[0.0] * (width - len(row.response_ids))] for row in seen.rows]
    )
    counted = kl_estimate(sampled, seen.old_logps, "k3") * seen.mask
    return float(counted.sum() / seen.mask.sum().clamp(min=1))


class SurgeryLog:
    """The matrices of each measured update, a line each; the newest cosines as a table for the cockpit's heat map."""

    def __init__(self, directory: Path, units: Sequence[str], done: int) -> None:
        """`done`: steps before the resumed one; what an earlier attempt wrote of later ones is taken back."""
        self._directory = directory
        self._units = units
        path = directory / JOURNAL
        if path.is_file():
            lines = [line for line in path.read_text().splitlines() if _step(line) <= done]
            write_whole(path, "".join(f"{line}\n" for line in lines))

    def write(self, step: int, operation: Operation, *, placebo: bool) -> dict[str, float]:
        """The figures of an update. Of a placebo, rows are no tasks and have no names."""
        names = [f"part {n}" if placebo else self._units[n] for n in operation.tasks]
        parts = list(operation.parts.values())
        whole = torch.stack([part.gramian for part in parts]).sum(dim=0)
        between, made = cosines(whole), effect(parts)
        norms = whole.diagonal().clamp(min=0).sqrt().tolist()
        figures = {**conflict(whole), "cos_to_mean": made["cos_to_mean"], "still_hurts": made["still_hurts"]}
        figures |= {f"grad_norm/{name}": norm for name, norm in zip(names, norms, strict=True)}
        removed = made.get("removed", [])
        figures |= {f"removed_norm/{name}": share for name, share in zip(names, removed, strict=False)}
        line: dict[str, Any] = {"step": step, "tasks": names, "cosines": between.tolist(), "norms": norms}
        line["weights"] = {group: part.weights.tolist() for group, part in operation.parts.items()}
        if len(parts) == 1 and parts[0].coefficients is not None:
            line["coefficients"] = parts[0].coefficients.tolist()
        if operation.halves is not None:
            found = calibrate(operation.halves)
            line |= {"split_half": found.reliability, "corrected": found.corrected}
            figures |= {f"split_half/{n}": one for n, one in zip(names, found.reliability, strict=True)}
            self._draw(step, names, between.tolist(), found.corrected)
        with (self._directory / JOURNAL).open("a") as file:
            file.write(json.dumps(_finite(line)) + "\n")
        return {name: value for name, value in figures.items() if value == value}

    def _draw(
        self,
        step: int,
        names: Sequence[str],
        between: Sequence[Sequence[float]],
        corrected: Sequence[Sequence[Any]],
    ) -> None:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["step", "row", "column", "cosine", "corrected"])
        for a, row in enumerate(names):
            for b, column in enumerate(names):
                calm = corrected[a][b]
                writer.writerow(
                    [step, row, column, f"{between[a][b]:.6f}", "" if calm is None else f"{calm:.6f}"]
                )
        write_whole(self._directory / COSINES, text.getvalue())


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _finite(value: Any) -> Any:
    """Without NaN, which is no JSON."""
    if isinstance(value, float):
        return value if value == value else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list) else value
