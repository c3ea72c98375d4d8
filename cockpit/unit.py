"""The daemon as a systemd user unit: its text, its name, and where it lies. Nothing here talks to systemd.

The unit lets supervisors outlive the daemon (`KillMode=process`), and a job that is killed for its memory does not take
the daemon with it (`OOMPolicy=continue`). See systemd.service(5), systemd.exec(5) and systemd.kill(5).
"""

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from store import paths

KEPT_VARIABLES = (
    "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME", "HF_HOME", "HF_HUB_CACHE",
    "HF_HUB_OFFLINE", "XDG_CACHE_HOME", "TMPDIR",
)  # fmt: skip
"""A user unit starts with next to no environment; jobs need what finds programs, libraries and models."""
ENVIRONMENT_FILE = "service.env"
"""In the home directory, made by its owner: more variables for the daemon, secrets among them."""

_TEMPLATE = """\
# Written by `tunedeck service install`, which writes it again; `tunedeck service uninstall` takes it away.
[Unit]
Description=Tunedeck, the queue in {home}
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart={command}
WorkingDirectory=/
{environment}EnvironmentFile=-{environment_file}
StandardOutput=append:{log}
StandardError=append:{log}
UMask=0077
# Jobs have supervisors of their own, which outlive a stop or a restart of the daemon.
KillMode=process
OOMPolicy=continue
Restart=on-failure
RestartSec=2

[Install]
WantedBy=default.target
"""


def unit_text(
    home: Path, python: str, cpu_slots: int | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """The unit of a home directory, run by an interpreter given by its absolute path."""
    slots = ["--cpu-slots", str(cpu_slots)] if cpu_slots else []
    argv = [python, "-P", "-m", "daemon", "--home", str(home), *slots]
    found = os.environ if environ is None else environ
    kept = [f"{name}={found[name]}" for name in KEPT_VARIABLES if found.get(name)]
    return _TEMPLATE.format(
        home=_specifiers(str(home)),
        command=command_line(argv),
        environment="".join(f"Environment={_quoted(line)}\n" for line in kept),
        environment_file=_specifiers(str(home / ENVIRONMENT_FILE)),
        log=_specifiers(str(paths.daemon_log(home))),
    )


def unit_name(home: Path) -> str:
    """`tunedeck.service` for the home that is used when nobody chooses one; others have a hash of their path in it."""
    if home == paths.default_home():
        return "tunedeck.service"
    return f"tunedeck-{hashlib.sha256(os.fsencode(home)).hexdigest()[:8]}.service"


def unit_path(home: Path) -> Path:
    """Where systemd looks for a user's own units."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser().absolute() / "systemd" / "user" / unit_name(home)


def command_line(argv: Sequence[str]) -> str:
    """`ExecStart=` takes dollars and percent signs for its own."""
    return " ".join(_quoted(word.replace("$", "$$")) for word in argv)


def cron_line(home: Path, python: str) -> str:
    """For `crontab -e`, where there is cron and no systemd. A percent sign would end the line."""
    line = f"TUNEDECK_HOME={shlex.quote(str(home))} {shlex.quote(python)} -P -m cockpit up"
    return "@reboot " + line.replace("%", "\\%")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{_specifiers(escaped)}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
