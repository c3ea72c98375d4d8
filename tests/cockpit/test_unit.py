"""The unit's text, judged by systemd itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cockpit.unit import command_line, cron_line, unit_name, unit_path, unit_text

ODD = 'a b%h $HOME "q" \'\\'


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("name", ["home", ODD])
def test_systemd_has_nothing_to_say_against_the_unit(name: str, tmp_path: Path) -> None:
    home = tmp_path / name
    unit = tmp_path / "tunedeck.service"
    unit.write_text(unit_text(home, sys.executable, 3, {"PATH": f"/bin:{home}"}))
    checked = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)],
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
    )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_unit_names_python_and_home_and_lets_jobs_outlive_the_daemon(tmp_path: Path) -> None:
    lines = unit_text(tmp_path, "/venv/bin/python", 3, {"PATH": "/venv/bin", "API_KEY": "x"}).splitlines()

    wanted = f'"/venv/bin/python" "-P" "-m" "daemon" "--home" "{tmp_path}" "--cpu-slots" "3"'
    assert f"ExecStart={wanted}" in lines
    assert {"KillMode=process", "Restart=on-failure", "UMask=0077", "OOMPolicy=continue"} < set(lines)
    assert [line for line in lines if line.startswith("Environment=")] == ['Environment="PATH=/venv/bin"']


def test_what_systemd_would_expand_is_kept_as_it_is() -> None:
    assert command_line(["/bin/echo", ODD]) == '"/bin/echo" "a b%%h $$HOME \\"q\\" \'\\\\"'


def test_cron_would_end_a_line_at_a_percent_sign() -> None:
    assert cron_line(Path("/a b/100%"), "/py") == "@reboot TUNEDECK_HOME='/a b/100\\%' /py -P -m cockpit up"


def test_each_home_has_a_unit_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    assert unit_name(tmp_path / "data" / "tunedeck") == "tunedeck.service"
    assert unit_name(tmp_path / "one") != unit_name(tmp_path / "two")
    assert unit_path(tmp_path / "one").parent == tmp_path / "config" / "systemd" / "user"
