"""Being told when a job has ended: a real command, a real server on loopback, and daemons that are killed."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon import notices
from daemon.messenger import TRIES, deliver_due
from daemon.notices import Notice
from daemon.settings import read_settings
from engines.recipe.errors import RecipeError
from store import lifecycle, outbox, paths
from store.database import Database
from store.lifecycle import NewJob, Outcome
from store.schema import Status

SECRET = "s3cr3t-part-of-the-address"


class Server:
    """An address that takes messages, or refuses the first few of them."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.refusals = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", "/elsewhere")
                    self.end_headers()
                    return
                outer.refusals -= 1
                if outer.refusals < 0:
                    outer.received.append(json.loads(body))
                self.send_response(200 if outer.refusals < 0 else 503)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/{SECRET}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


def configure(database: Database, *on_end: dict[str, Any]) -> None:
    paths.config(database.home).write_text(yaml.safe_dump({"on_end": list(on_end)}))


def witness(path: Path) -> list[str]:
    """A command that appends what it was told to a file."""
    code = "import os, sys, json; print(json.dumps([json.load(sys.stdin), {n: v for n, v in os.environ.items() if n[:9] == 'TUNEDECK_'}]), file=open(sys.argv[1], 'a'))"
    return [sys.executable, "-c", code, str(path)]


def told(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def end(database: Database, name: str, status: Status = Status.SUCCEEDED, experiment: str = "e") -> int:
    """Runs a job as the daemon does, without one."""
    [job_id] = lifecycle.enqueue(database, experiment, [NewJob(name, "sft", {"secret": "of the recipe"})])[1]
    assert lifecycle.claim(database, 1000, [])
    lifecycle.mark_running(database, job_id, {"started_at": time.time() - 5})
    lifecycle.finish(database, job_id, Outcome(status, 0, "why it did\nand more"))
    return job_id


def test_a_command_and_a_webhook_are_told_what_they_asked_for_and_nothing_of_the_recipe(
    database: Database, submit: Any, ended: Any, start_daemon: Any, server: Server, until: Any, tmp_path: Path
) -> None:
    configure(
        database, {"command": witness(tmp_path / "told"), "statuses": ["failed"]}, {"webhook": server.address}
    )
    start_daemon()
    good = submit("true", name="good")
    bad = submit("sh", "-c", "exit 3 # recipe-words", name="bad")
    ended(good), ended(bad)
    until(lambda: len(server.received) == 2 and told(tmp_path / "told"))

    [[body, environment]] = told(tmp_path / "told")
    assert body == next(one for one in server.received if one["job"] == bad)
    assert (body["status"], body["exit_code"], body["experiment"]["name"]) == ("failed", 3, "test")
    assert body["text"].startswith(f"Tunedeck: bad of test (job {bad}) failed after ")
    assert (environment["TUNEDECK_JOB"], environment["TUNEDECK_STATUS"]) == (str(bad), "failed")
    assert "recipe-words" not in json.dumps(server.received)
    until(lambda: not list(outbox.waiting(database.home)))
    for path in database.home.rglob("*"):
        if path.is_file() and path != paths.config(database.home):
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_killed_daemon_tells_what_ended_meanwhile_once_it_is_back(
    database: Database, submit: Any, start_daemon: Any, server: Server, until: Any
) -> None:
    configure(database, {"webhook": server.address})
    daemon = start_daemon()
    job_id = submit("sh", "-c", "while [ ! -e go ]; do sleep 0.02; done", cwd=str(database.home))
    until(lambda: (database.run_dir(job_id) / "process-1.json").exists())
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    (database.home / "go").touch()
    until(lambda: (database.run_dir(job_id) / "exit-1.json").exists())
    start_daemon()
    until(lambda: server.received)

    assert [(one["job"], one["status"]) for one in server.received] == [(job_id, "succeeded")]


def test_a_kill_between_message_and_cursor_makes_the_same_message_again(database: Database) -> None:
    notice = Notice(command=["true"])
    notices.begin(database, [notice])
    start = outbox.read_cursor(database)
    assert start is not None
    end(database, "a")
    notices.collect(database, [notice], start)
    names = [name for name, _ in outbox.waiting(database.home)]
    notices.collect(database, [notice], start)

    assert len(names) == 1
    assert [name for name, _ in outbox.waiting(database.home)] == names


def test_only_what_ends_after_the_configuration_is_told_and_remarks_about_it_are_not(
    database: Database,
) -> None:
    from store.records import record

    end(database, "before")
    notice = Notice(command=["true"], experiments=["night-*"])
    notices.begin(database, [notice])
    line = outbox.read_cursor(database)
    assert line
    end(database, "other", experiment="day-1")
    meant = end(database, "meant", experiment="night-1")
    record(database, meant, 0, 1, [], amendment="graded again")
    notices.collect(database, [notice], line)
    [name] = [name for name, _ in outbox.waiting(database.home)]

    message = outbox.read_message(database.home, name)
    assert message is not None
    assert (message["body"]["job"], message["body"]["reason"]) == (meant, "why it did")
    assert "of the recipe" not in json.dumps(message)


def test_a_rebuilt_database_with_other_line_numbers_tells_nothing_twice(database: Database) -> None:
    notices.begin(database, [Notice(command=["true"])])
    end(database, "a")
    newest, at, _ = outbox.endings_after(database, 0)
    outbox.write_cursor(database.home, newest + 100, at)

    assert outbox.read_cursor(database) == newest


def test_a_webhook_that_fails_is_tried_again_later_and_given_up_in_the_end(
    database: Database, server: Server
) -> None:
    notice = Notice(webhook=server.address)
    known = {notice.key: notice}
    notices.begin(database, [notice])
    line = outbox.read_cursor(database) or 0
    end(database, "a")
    end(database, "b")
    notices.collect(database, [notice], line)
    server.refusals = 1
    deliver_due(database.home, known)
    dues = dict(outbox.waiting(database.home))
    assert server.received == []
    assert max(dues.values()) > time.time() + 5 > min(dues.values())
    deliver_due(database.home, known)
    assert [one["name"] for one in server.received] == ["b"]

    server.refusals = 1000
    [name] = [name for name, _ in outbox.waiting(database.home)]
    for _ in range(TRIES - 1):
        outbox.post(database.home, name, outbox.read_message(database.home, name) or {}, 0.0)
        deliver_due(database.home, known)
    [lost] = outbox.given_up(database.home)
    assert (lost["body"]["name"], lost["tries"], lost["error"]) == ("a", TRIES, "the webhook said 503")
    assert not list(outbox.waiting(database.home))


@pytest.mark.parametrize(
    ("notice", "said"),
    [
        (
            {"command": ["sh", "-c", "echo no such luck >&2; exit 4"]},
            "the command exited with 4: no such luck",
        ),
        ({"command": ["sleep", "60"], "timeout": 0.1}, "the command took more than 0.1 s"),
        ({"command": ["/no/such/program"]}, "FileNotFoundError: No such file or directory"),
        ({"webhook": "http://127.0.0.1:1/" + SECRET}, "URLError: [Errno 111] Connection refused"),
    ],
)
def test_why_it_failed_is_kept_without_the_address(
    notice: dict[str, Any], said: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    one = Notice(**notice)
    notices.begin(database, [one])
    line = outbox.read_cursor(database) or 0
    end(database, "a")
    notices.collect(database, [one], line)
    deliver_due(database.home, {one.key: one})
    [(name, _)] = outbox.waiting(database.home)

    assert (outbox.read_message(database.home, name) or {})["error"] == said


def test_a_redirect_would_lose_the_message_and_counts_as_failed(database: Database, server: Server) -> None:
    moved = server.address.removesuffix(SECRET) + "moved"
    notice = Notice(webhook=moved)
    notices.begin(database, [notice])
    line = outbox.read_cursor(database) or 0
    end(database, "a")
    notices.collect(database, [notice], line)
    deliver_due(database.home, {notice.key: notice})
    [(name, _)] = outbox.waiting(database.home)

    assert (outbox.read_message(database.home, name) or {})["error"] == "the webhook said 302"


def test_while_the_configuration_is_broken_messages_wait(database: Database) -> None:
    notice = Notice(command=["true"])
    notices.begin(database, [notice])
    line = outbox.read_cursor(database) or 0
    end(database, "a")
    notices.collect(database, [notice], line)
    paths.config(database.home).write_text("on_end: 7")
    argv = [sys.executable, "-P", "-m", "daemon.messenger", "--home", str(database.home)]
    done = subprocess.run(argv, capture_output=True, text=True)
    [(_, due)] = outbox.waiting(database.home)

    assert done.returncode == 1
    assert "on_end" in done.stderr
    assert due > time.time() + 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("on_end: {comand: [a]}", "comand"),
        ("on_end: {command: [a], webhook: http://x}", "one of the two"),
        ("on_end: {webhook: 'file:///etc/passwd'}", "webhook"),
        ("on_end: {command: [a], statuses: [running]}", "statuses"),
        ("keep: {cache: soon}", "write 12h, 30 days or 2 weeks"),
    ],
)
def test_a_wrong_configuration_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RecipeError, match=said):
        read_settings(tmp_path / "config.yaml")
