"""What a job of several processes is said to have died of."""

import json
import signal

import pytest

from engines.distributed.endings import FAILURE, Ending, failure_file, report_failure, verdict


def reports(run_dir, **errors):
    """Errors as processes leave them, a second apart, by `rank_N`."""
    for second, (rank, error) in enumerate(errors.items()):
        path = failure_file(run_dir, int(rank.removeprefix("rank_")))
        path.write_text(json.dumps({"time": second, "error": error, "hint": f"{error}?", "traceback": "..."}))


@pytest.mark.parametrize("code", [0, 75])
def test_processes_that_end_well_alike_are_one_good_ending(tmp_path, code):
    found = verdict(tmp_path, [Ending(1, code), Ending(0, code)])
    assert (found.exit_code, found.failure) == (code, None)


def test_an_error_that_all_have_is_told_once_and_as_it_is(tmp_path):
    reports(tmp_path, rank_1="no such model", rank_0="no such model")
    found = verdict(tmp_path, [Ending(0, 1), Ending(1, 1)])
    assert found.exit_code == 1
    assert found.failure == {"error": "no such model", "hint": "no such model?", "traceback": "..."}


def test_the_first_error_counts_and_not_those_that_it_caused(tmp_path):
    reports(tmp_path, rank_1="CUDA out of memory", rank_0="Connection closed by peer")
    found = verdict(tmp_path, [Ending(0, 1), Ending(1, 1)])
    assert found.failure["error"] == "process 1 of 2: CUDA out of memory"


def test_a_process_that_was_killed_counts_before_the_errors_of_those_it_left(tmp_path):
    reports(tmp_path, rank_0="Connection closed by peer")
    found = verdict(tmp_path, [Ending(0, 1), Ending(1, -signal.SIGKILL), Ending(2, -signal.SIGKILL, True)])
    assert found.exit_code == -signal.SIGKILL
    assert found.failure["error"] == "process 1 of 3 was killed, and the others ended with it"


def test_one_that_was_asked_to_stop_before_it_could_listen_is_no_failure(tmp_path):
    found = verdict(tmp_path, [Ending(1, -signal.SIGTERM), Ending(0, -signal.SIGKILL, True)])
    assert (found.exit_code, found.failure) == (-signal.SIGTERM, None)


def test_a_process_that_says_nothing_is_told_by_its_exit_code(tmp_path):
    found = verdict(tmp_path, [Ending(1, 3), Ending(0, -signal.SIGKILL, True)])
    assert found.exit_code == 3
    assert "process 1 of 2 ended with exit code 3" in found.failure["error"]


def test_an_error_is_left_to_the_launcher_only_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.delenv(FAILURE, raising=False)
    assert not report_failure({"error": "x"})
    monkeypatch.setenv(FAILURE, str(tmp_path / "failure.json"))
    assert report_failure({"error": "x"})
    assert json.loads((tmp_path / "failure.json").read_text())["error"] == "x"
