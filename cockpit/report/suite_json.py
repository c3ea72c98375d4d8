"""`comparison.json`: the comparison of a suite's arms for other programs; `schema` says which form this is."""

from dataclasses import asdict
from typing import Any

from cockpit.report.suite import Effect, SuiteReport
from cockpit.report.suite_words import recommendations

SCHEMA = 1


def suite_json(report: SuiteReport) -> dict[str, Any]:
    """Everything that the sections show."""
    return {
        "schema": SCHEMA,
        "baseline": report.baseline.label,
        "arms": [arm.label for arm in report.arms],
        "jobs": {
            point.label: {str(seed): e.job.id for seed, e in point.models.items()}
            for point in (report.baseline, *report.arms)
        },
        "domains": report.domains,
        "differs_in": report.unlike,
        "primary": [_effect(effect) for effect in report.primary],
        "by_domain": [_effect(effect) for effect in report.by_domain],
        "by_task": [_effect(effect) for effect in report.by_task],
        "training": report.training,
        "evolution": [{"job": job.id, "name": job.name, **found} for job, found in report.evolution],
        "recommendations": recommendations(report),
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "arm": effect.arm,
        "against": effect.baseline,
        "what": effect.what,
        "before": effect.before,
        "after": effect.after,
        "samples": effect.samples,
        "p_adjusted": effect.p_adjusted,
        "verdict": effect.text,
        **asdict(effect.difference),
    }
