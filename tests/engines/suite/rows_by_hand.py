"""Graded answers without a model."""

from engines.suite.rows import SuiteRow


def row(task="aime", domain="math", question=0, sample=0, right=False, **fields):
    given = {
        "example_id": f"{task}/{question:04}", "sample": sample, "task": task, "domain": domain,
        "cluster": f"{task}-{question}", "question": "?", "gold": '"1"', "extra": "{}", "completion": "", "extracted": None,
        "method": "box", "outcome": "graded", "score": float(right), "strict": right, "robust": right, "answered": True,
        "in_format": True, "terminated": True, "tokens": 3, "detail": "", "sandbox": "L2",
    }  # fmt: skip
    return SuiteRow(**{**given, **fields})
