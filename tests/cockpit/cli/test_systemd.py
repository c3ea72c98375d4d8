"""`tunedeck service` where systemd is missing or does not answer: it says so, and touches nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Tunedeck = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tunedeck(home: Path, tmp_path: Path) -> Tunedeck:
    """With no programs to be found, so that no systemd of the machine's is ever asked."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "cockpit", "service", *arguments],
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")},
        )

    return run


def test_without_systemd_an_installation_is_refused_with_what_there_is_instead(
    tunedeck: Tunedeck, home: Path, tmp_path: Path
) -> None:
    refused = tunedeck("install")

    assert refused.returncode == 1
    assert "systemd is not installed here" in refused.stderr
    assert f"@reboot TUNEDECK_HOME={home} {sys.executable} -P -m cockpit up" in refused.stderr
    assert not (tmp_path / "config").exists()


def test_a_dry_run_prints_the_unit_and_writes_nothing(tunedeck: Tunedeck, home: Path, tmp_path: Path) -> None:
    shown, tried = tunedeck("show", "--cpu-slots", "5"), tunedeck("install", "--cpu-slots", "5", "--dry-run")

    assert shown.returncode == tried.returncode == 0
    assert shown.stdout == tried.stdout
    assert '"--cpu-slots" "5"' in shown.stdout
    assert not (tmp_path / "config").exists()
    assert not home.exists()


def test_a_unit_is_taken_away_even_when_systemd_is_gone(
    tunedeck: Tunedeck, home: Path, tmp_path: Path
) -> None:
    unit = Path(json.loads(tunedeck("status", "--json").stdout)["unit"])
    wanted = unit.parent / "default.target.wants" / unit.name
    wanted.parent.mkdir(parents=True)
    unit.write_text("[Unit]\n")
    wanted.symlink_to(unit)
    removed = tunedeck("uninstall")

    assert removed.returncode == 0, removed.stderr
    assert not unit.exists()
    assert not wanted.is_symlink()


def test_the_status_tells_whether_systemd_runs_it(tunedeck: Tunedeck) -> None:
    said = tunedeck("status", "--json")

    assert said.returncode == 3
    assert json.loads(said.stdout)["state"] is None
    assert "not installed" in json.loads(said.stdout)["absent"]
