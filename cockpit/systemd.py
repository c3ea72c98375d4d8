"""What systemd says, asked through its own programs. Nothing is taken for granted: it may not be there at all."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass

from store.database import StoreError

SECONDS = 60.0


@dataclass(frozen=True)
class UnitState:
    """How a unit fares, in systemd's words."""

    active: str
    """`active`, `inactive`, `failed`, `activating` and so on."""
    enabled: str
    """`enabled`, `disabled`, or empty where there is no such unit."""
    pid: int
    """0 when it does not run."""
    restarts: int


def why_absent() -> str | None:
    """Why systemd cannot run anything for this user, in words; None when it can."""
    if shutil.which("systemctl") is None:
        return "systemd is not installed here"
    done = _run("systemctl", "--user", "show", "--property=Version", "--value")
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    if not os.environ.get("XDG_RUNTIME_DIR"):
        return "this session has no systemd user manager (XDG_RUNTIME_DIR is not set, as after `su`)"
    return f"systemd does not answer for this user ({said[-1] if said else 'it said nothing'})"


def user_command(*arguments: str) -> None:
    """`systemctl --user ...`. StoreError where it fails."""
    done = _run("systemctl", "--user", *arguments)
    if done.returncode:
        text = done.stderr.strip() or f"exit code {done.returncode}"
        raise StoreError(f"`systemctl --user {' '.join(arguments)}`: {text}")


def unit_state(name: str) -> UnitState:
    done = _run("systemctl", "--user", "show", name, "--property=ActiveState,UnitFileState,MainPID,NRestarts")
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return UnitState(
        found.get("ActiveState", "unknown"),
        found.get("UnitFileState", ""),
        int(found.get("MainPID") or 0),
        int(found.get("NRestarts") or 0),
    )


def lingers() -> bool | None:
    """Whether this user's units run without anybody logged in. None: logind does not say."""
    return _yes_or_no(_run("loginctl", "show-user", user_name(), "--property=Linger", "--value"))


def kills_user_processes() -> bool | None:
    """Whether logind ends a session's processes at logout. None: it does not say."""
    # Without a session, `show-session` shows the properties of logind itself: loginctl(1).
    return _yes_or_no(_run("loginctl", "show-session", "--property=KillUserProcesses", "--value"))


def user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _yes_or_no(done: "subprocess.CompletedProcess[str]") -> bool | None:
    said = done.stdout.strip()
    return {"yes": True, "no": False}.get(said) if done.returncode == 0 else None


def _run(*argv: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(argv, 127, "", str(error))
