"""`python -P -m daemon.messenger`: delivers what waits in the outbox, and ends.

A process of its own, so that no slow address holds the daemon up, and a kill of either loses nothing: a message goes
from the outbox after it was delivered. Killed in between, it is delivered twice.
"""

import argparse
import fcntl
import json
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from daemon.notices import Notice
from daemon.settings import read_settings
from engines.recipe.errors import RecipeError
from store import outbox, paths

TRIES = 8
FIRST_PAUSE = 10.0
"""Seconds after the first try that failed; twice as long after each, 21 minutes from the first try to the last."""
CONFIG_PAUSE = 60.0
"""Seconds until the next try where `config.yaml` cannot be read."""
LOCK = "lock"

log = logging.getLogger("daemon.messenger")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -P -m daemon.messenger", description=__doc__)
    parser.add_argument("--home", type=Path, default=paths.home())
    home = parser.parse_args().home
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    lock = os.open(outbox.directory(home) / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    os.set_inheritable(lock, False)
    try:
        notices = {notice.key: notice for notice in read_settings(paths.config(home)).on_end}
    except RecipeError as error:
        log.error("%s", error)
        outbox.put_off(home, time.time() + CONFIG_PAUSE)
        return 1
    deliver_due(home, notices)
    return 0


def deliver_due(home: Path, notices: dict[str, Notice]) -> None:
    """Tries what is due, oldest first. An address that failed is not tried again in the same round."""
    failing: set[str] = set()
    for name, due in list(outbox.waiting(home)):
        message = outbox.read_message(home, name)
        if due > time.time() or message is None or message["notice"] in failing:
            continue
        notice = notices.get(message["notice"])
        error = "it is no longer in config.yaml" if notice is None else _failure(notice, message["body"])
        if error is None:
            outbox.delivered(home, name)
            log.info("job %d: its end was told", message["body"]["job"])
            continue
        failing.add(message["notice"])
        tries = message["tries"] + 1
        outbox.post(
            home,
            name,
            message | {"tries": tries, "error": error},
            time.time() + FIRST_PAUSE * 2 ** (tries - 1),
        )
        log.warning("job %d: its end was not told, try %d: %s", message["body"]["job"], tries, error)
        if notice is None or tries >= TRIES:
            outbox.give_up(home, name)
            log.error("job %d: given up to tell its end", message["body"]["job"])


def _failure(notice: Notice, body: dict[str, Any]) -> str | None:
    """Tries to deliver. Why it failed, in words without the address; None when it is delivered."""
    try:
        if notice.command is not None:
            return _run(notice.command, body, notice.timeout)
        _post(str(notice.webhook), body, notice.timeout)
    except subprocess.TimeoutExpired:
        return f"the command took more than {notice.timeout:g} s"
    except urllib.error.HTTPError as error:
        return f"the webhook said {error.code}"
    except (OSError, ValueError) as error:
        # An address may hold a secret, and `ValueError` quotes it.
        return f"{type(error).__name__}: {getattr(error, 'reason', None) or getattr(error, 'strerror', '')}"
    return None


def _run(argv: list[str], body: dict[str, Any], timeout: float) -> str | None:
    values = {
        "TUNEDECK_JOB": body["job"],
        "TUNEDECK_JOB_NAME": body["name"],
        "TUNEDECK_ENGINE": body["engine"],
        "TUNEDECK_EXPERIMENT": body["experiment"]["name"],
        "TUNEDECK_STATUS": body["status"],
        "TUNEDECK_REASON": body["reason"] or "",
        "TUNEDECK_HOME": body["home"],
    }
    done = subprocess.run(
        argv,
        input=json.dumps(body).encode(),
        env=os.environ | {name: str(value).replace("\0", "") for name, value in values.items()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=timeout,
        cwd="/",
    )
    if done.returncode == 0:
        return None
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"the command exited with {done.returncode}" + (f": {said[-1][:200]}" if said else "")


def _post(address: str, body: dict[str, Any], timeout: float) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "tunedeck"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers, method="POST")
    with _OPENER.open(request, timeout=timeout) as answer:
        answer.read(1024)


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: that would be a GET without the message, and look as if it had been delivered."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Straight)


if __name__ == "__main__":
    sys.exit(main())
