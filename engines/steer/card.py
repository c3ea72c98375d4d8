"""The card of a steering: what was searched, what it gained on questions that the search never saw, and what it cost."""

import json
from typing import Any

from engines.steer.fields import SteeringRecipe


def card(
    recipe: SteeringRecipe, stats: dict[str, Any], controls: dict[str, Any], vectors: dict[str, Any]
) -> str:
    """Markdown from `stats.json`, `controls.json` and `vectors.json`."""
    winner, test = stats["winner"], stats["test"]["winner"]
    none = winner == "no steering"
    lines = [f"# Steering {recipe.model.base or recipe.model.from_} on {recipe.task.name}", ""]
    if none:
        lines.append(
            "**No steering wins.** No configuration surely gained anything on the confirm questions, so strength 0 is "
            f"the result. That is what this search found out; it is no failure of it. Test accuracy: {test['unsteered']:.1%}."
        )
    else:
        params = ", ".join(f"{name} {_number(value)}" for name, value in winner["params"].items())
        lines.append(
            f"**{winner['study']}: {params}.** Test accuracy {test['unsteered']:.1%} without steering, "
            f"{test['accuracy']:.1%} with it: {_gain(test)}."
        )
    lines += ["", "| questions | n | gain | 95 % | p | fixed | broken |", "|---|---|---|---|---|---|---|"]
    if not none:
        selected = winner["search_gain_selected"]
        lines.append(
            f"| search (selected, and so too high) | {recipe.splits.search} | {selected:+.1%} | | | | |"
        )
    for one in stats["confirm"]:
        lines.append(_row(f"confirm, {_name(one)}", one))
    if not none:
        lines.append(_row("test", test))
    if "control" in stats["test"]:
        lines.append(_row("test, best control", stats["test"]["control"]))
    lines += ["", *_search_lines(stats, controls), "", "## Directions", "", *_direction_lines(vectors)]
    lines += ["", "## Side effects", "", *_side_effects(test, stats["side_effects"])]
    return "\n".join(lines) + "\n"


def _search_lines(stats: dict[str, Any], controls: dict[str, Any]) -> list[str]:
    lines = []
    searched = stats["search"]
    if best := searched.get("best"):
        lines.append(
            f"Of {searched['configurations']} configurations that were scored on all search questions, the best gained "
            f"{best['gain_selected']:+.1%} there; corrected for having looked at all of them, p = {best['corrected_p']:.3f}."
        )
    null = controls["null_best_gains"]
    if null:
        shown = ", ".join(f"{gain:+.1%}" for gain in null)
        lines.append(
            f"The same search along directions that mean nothing found {shown} there"
            + (f" (p = {controls['p']:.2f} against them)." if controls["p"] is not None else ".")
        )
    rivals = controls["rivals"]
    if rivals:
        shown = ", ".join(f"{name} {one['gain']:+.1%}" for name, one in rivals.items())
        lines.append(f"Other accounts of a gain, on the confirm questions: {shown}.")
    return lines


def _direction_lines(vectors: dict[str, Any]) -> list[str]:
    audit = vectors["audit"]
    lines = [
        f"{vectors['sides']} texts of {vectors['questions']} questions"
        + (", one right and one wrong of like length each" if vectors["balanced"] else "")
        + f". By their surface, right and wrong are told apart with an AUC of {audit['auc']:.2f} "
        f"({audit['low']:.2f} to {audit['high']:.2f}).",
        "",
        "| layer | probe AUC | split-half cosine | pairwise cosine |",
        "|---|---|---|---|",
    ]
    for row in vectors["probes"]:
        shown = f"{row['auc']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        lines.append(f"| {row['layer']} | {shown} | {row['split_half']:.2f} | {row['pairwise']:.2f} |")
    return lines


_WHAT = {
    "null": "means nothing",
    "without_length": "the direction without the texts' length",
    "sign_flipped": "the best configuration turned round",
    "prompt": "no steering, told",
    "longer": "no steering, so many tokens at most:",
    "first_token": "no steering, made to begin with",
}
"""What stands in the table beside the candidates."""


def _name(one: dict[str, Any]) -> str:
    """A row of the confirm table: a trial of a study, or what else was tried."""
    study, trial = one["study"], one["trial"]
    what = _WHAT["null"] if one["role"] == "null" else _WHAT.get(study.removesuffix("-dac"))
    if one["role"] == "tested" or what is None:
        return f"{study} {trial}"
    if trial is not None:
        return f"{study} {trial} ({what})"
    value = next(iter(one["params"].values()))
    return f"{study} ({what} {json.dumps(value, ensure_ascii=False)})"


def _side_effects(test: dict[str, Any], effects: dict[str, dict[str, Any]]) -> list[str]:
    """Of the winner, and of the control that was tested, beside no steering."""
    lines = [
        f"On the test {test['fixed']} questions fixed, {test['broken']} broken; {test['changed']} of {test['n']} "
        "completions differ. Perplexity is that of plain text that has nothing to do with the task.",
        "",
        "| | cut off | repeats | no answer | median tokens | perplexity | nats a token |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in effects.items():
        shown = "not measured: `dac` has strengths only where text is generated | "
        if row["perplexity"] is not None:
            change = f"{row['nats_change']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"
            shown = f"{row['perplexity']:.4g} | {change if name != 'baseline' else ''}"
        lines.append(
            f"| {'no steering' if name == 'baseline' else name} | {row['truncated']:.1%} | {row['repeats']:.1%} | "
            f"{row['unanswered']:.1%} | {row['median_tokens']:g} | {shown} |"
        )
    return lines


def _row(name: str, found: dict[str, Any]) -> str:
    interval = f"{found['low']:+.1%} to {found['high']:+.1%}"
    return (
        f"| {name} | {found['n']} | {found['gain']:+.1%} | {interval} | {found['p']:.3f} | {found['fixed']} | "
        f"{found['broken']} |"
    )


def _gain(found: dict[str, Any]) -> str:
    return f"{found['gain']:+.1%} (95 %: {found['low']:+.1%} to {found['high']:+.1%}, p = {found['p']:.3f})"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
