"""`tunedeck doctor --chaos` as users meet it."""

import json
import subprocess
import sys
from pathlib import Path


def test_the_doctor_tries_the_queue_and_prints_the_report(home: Path) -> None:
    argv = [sys.executable, "-P", "-m", "cockpit", "doctor", "--chaos", "--trials", "5", "--seed", "3"]
    shown = subprocess.run([*argv, "--json"], capture_output=True, text=True, timeout=120)
    report = json.loads(shown.stdout)

    assert shown.returncode == 0
    assert (report["trials"], report["seed"], report["verdict"]["lost_jobs"]) == (5, 3, 0)
    assert sum(report["killed"].values()) == 5
    assert not (home / "runs").exists()
