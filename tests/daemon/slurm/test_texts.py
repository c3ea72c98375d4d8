"""Settings, batch scripts and answers as text: no Slurm is needed for these."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cockpit.waiting import explain_wait
from daemon.settings import read_settings
from daemon.slurm import commands
from daemon.slurm.answers import read_sacct, read_squeue, refusal
from daemon.slurm.endings import not_taken
from daemon.slurm.script import grace_seconds, signal_seconds, text_of
from daemon.slurm.settings import Profile
from engines.recipe.blocks import ResourcesBlock
from engines.recipe.errors import RecipeError
from engines.recipe.times import minutes_of
from store import jobs, lifecycle, paths, slurm, wishes
from store.database import Database
from store.lifecycle import NewJob
from store.schema import Status


def resources(**fields: Any) -> dict[str, Any]:
    return ResourcesBlock.model_validate({"slurm": "a", **fields}).model_dump(mode="json")


def options(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")]


def test_a_script_asks_for_what_the_profile_says_and_the_recipe_goes_before_it() -> None:
    profile = Profile.model_validate(
        {
            "account": "llm", "partition": "gpu", "qos": "long", "gpus": 1, "gpu_type": "a100", "cpus": 8,
            "memory": "64GiB", "time": "4h", "options": ["--constraint=nvlink"], "signal_seconds": 300,
        }
    )  # fmt: skip
    by_profile = options(text_of(profile, resources(), "n", Path("/h/runs/1"), 1))
    by_recipe = options(text_of(profile, resources(gpus=2, time="1d12h"), "n", Path("/h/runs/1"), 1))
    without = options(text_of(profile, resources(gpus=0), "n", Path("/h/runs/1"), 1))

    assert by_profile == [
        "--job-name=n", "--output=/dev/null", "--chdir=/", "--export=ALL", "--no-requeue", "--nodes=1", "--ntasks=1",
        "--cpus-per-task=8", "--signal=B:USR1@300", "--account=llm", "--partition=gpu", "--qos=long",
        "--gres=gpu:a100:1", "--mem=65536M", "--time=240", "--constraint=nvlink",
    ]  # fmt: skip
    assert {"--gres=gpu:a100:2", "--time=2160"} <= set(by_recipe)
    assert not [option for option in without if "gres" in option]


def test_a_script_is_sound_shell_wherever_the_home_lies(tmp_path: Path) -> None:
    profile = Profile(modules=["cuda/12.4"], setup=["export A='b c'"])
    path = tmp_path / "sbatch-1.sh"
    path.write_text(text_of(profile, resources(), "n", Path("/h o'me/%j/\\/$x/runs/1"), 3))

    assert subprocess.run(["bash", "-n", str(path)]).returncode == 0
    *_, last = path.read_text().splitlines()
    assert last.startswith("exec ")
    assert "module load cuda/12.4 || " in path.read_text()


def test_the_signal_comes_before_the_limit_and_leaves_half_of_a_short_one() -> None:
    profile = Profile(signal_seconds=120, time="4h")

    assert signal_seconds(profile, resources()) == 120
    assert signal_seconds(profile, resources(time="1m")) == 30
    assert grace_seconds(profile, resources(time="1m")) == 25


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90m", 90), ("4h", 240), ("1d12h", 2160), ("04:00:00", 240), ("1-00:00:01", 1441), ("2d", 2880)],
)
def test_lengths_of_time_are_understood(text: str, minutes: int) -> None:
    assert minutes_of(text) == minutes


@pytest.mark.parametrize("text", ["", "4", "m", "0h", "4 hours", "-1h", "1:00"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        minutes_of(text)


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("{partitoin: gpu}", "unknown key"),
        ("{time: long}", "no length of time"),
        ("{options: ['--requeue']}", "cannot be set here"),
        ("{options: ['--nodes=2']}", "cannot be set here"),
        ("{options: ['--arr=1-3']}", "cannot be set here"),
        ("{options: ['-N 2']}", "no option of sbatch"),
        ("{setup: ['a\\nb']}", "unknown character"),
        ('{setup: ["a\\nb"]}', "more than one line"),
        ('{account: "a b"}', "special character"),
        ("{cpus: 0}", "greater than or equal to 1"),
    ],
)
def test_a_profile_that_is_wrong_is_refused_with_the_place(tmp_path: Path, profile: str, said: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"slurm: {{profiles: {{a100: {profile}}}}}\n")
    if said == "unknown character":  # single quotes keep the backslash: that is one line
        assert read_settings(config).slurm.profiles["a100"].setup == ["a\\nb"]
        return
    with pytest.raises(RecipeError, match=said) as error:
        read_settings(config)
    assert "slurm.profiles.a100." in str(error.value)


def test_resources_of_slurm_and_of_this_machine_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="needs `slurm`"):
        ResourcesBlock.model_validate({"time": "4h"})
    with pytest.raises(ValueError, match="shares the cards of this machine"):
        ResourcesBlock.model_validate({"slurm": "a", "gpu_memory": "20GiB"})


def test_squeue_is_read_whatever_others_call_their_jobs() -> None:
    lines = [
        "12|RUNNING|n[1-2]|None|tunedeck-ab-1-1",
        "13_4|PENDING||Priority|a|b",
        "garbage",
        "14|PENDING||Resources|x",
    ]
    answer = read_squeue(lines, 1.0)

    assert answer.jobs["12"].words() == "runs in Slurm as 12 on n[1-2]"
    assert answer.jobs["14"].words() == "pending in Slurm as 14: Resources"
    assert answer.numbers["tunedeck-ab-1-1"] == "12"
    assert answer.jobs["13_4"].name == "a|b"


def test_sacct_is_believed_only_about_the_end_of_the_very_job() -> None:
    lines = ["12|CANCELLED by 1000", "120|COMPLETED", "13|RUNNING", "14|OUT_OF_MEMORY"]

    assert [read_sacct(lines, number) for number in ("12", "13", "14", "15")] == [
        "CANCELLED", None, "OUT_OF_MEMORY", None,
    ]  # fmt: skip


def test_a_refusal_is_told_from_a_slurm_that_is_not_there() -> None:
    refused = "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid partition name specified\n"
    away = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"

    assert not_taken(refusal(refused)).status is Status.FAILED
    assert "invalid partition specified: nope; Batch job" in str(not_taken(refusal(refused)).reason)
    assert [not_taken(refusal(words)).status for words in (away, "")] == [Status.QUEUED] * 2


def test_slurms_commands_get_no_secret_and_nothing_that_is_about_this_host() -> None:
    environ = {
        "PATH": "/bin", "HF_TOKEN": "x", "SLURM_CONF": "/c", "SBATCH_PARTITION": "p", "CUDA_VISIBLE_DEVICES": "",
        "TMPDIR": "/local", "CUDA_HOME": "/cuda",
    }  # fmt: skip

    assert commands.environment(environ) == {"PATH": "/bin", "SLURM_CONF": "/c", "CUDA_HOME": "/cuda"}


def test_a_question_that_nobody_answers_whole_is_no_answer() -> None:
    def ask(script: str) -> tuple[list[str] | None, str]:
        question = commands.Question(["sh", "-c", script])
        while not question.is_done():
            pass
        return question.answer()

    assert ask("echo 1; echo 2") == (["1", "2"], "")
    assert ask("true") == ([], "")
    assert ask("echo 1; echo trouble >&2; exit 1") == (None, "trouble")
    assert ask("echo 1; kill -9 $$")[0] is None


def test_jobs_for_slurm_take_no_slot_and_no_card_here_and_no_more_than_their_profiles(
    database: Database,
) -> None:
    new = [
        NewJob("a", "command", {}, gpus=None, slurm="p"),
        NewJob("b", "command", {}, gpus=None, slurm="p", priority=1),
        NewJob("c", "command", {}, gpus=1, slurm="q"),
        NewJob("d", "command", {}, gpus=0),
    ]
    lifecycle.enqueue(database, "many", new)
    assert not lifecycle.gpus_wanted(database)

    def claimed(**room: int) -> list[tuple[str, list[str]]]:
        names = []
        while found := lifecycle.claim(
            database,
            1,
            ["GPU-a"],
            slurm={p: n - slurm.count_active(database).get(p, 0) for p, n in room.items()},
        ):
            names.append((found[0].name, found[1]))
        return names

    assert claimed() == [("d", [])]
    assert claimed(p=1) == [("b", [])]
    assert claimed(p=2, q=1) == [("a", []), ("c", [])]
    assert slurm.count_active(database) == {"p": 2, "q": 1}
    (facts,) = slurm.attempts_of(database, 2)
    assert facts["profile"] == "p"
    assert facts["name"].endswith("-2-1")


def test_where_slurms_commands_are_missing_the_jobs_wait_and_the_rest_goes_on(
    database: Database,
    start_daemon: Any,
    submit: Any,
    ended: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Nothing fails for it, nothing is started, and what waits can be cancelled."""
    for tool in ("sh", "true", "timeout"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(tmp_path))
    paths.config(database.home).write_text("slurm: {poll_seconds: 0.1, profiles: {p: {}}}\n")
    _, [job_id] = lifecycle.enqueue(database, "far", [NewJob("a", "command", {}, slurm="p")])
    start_daemon()
    here = ended(submit("true"))

    assert here.status is Status.SUCCEEDED
    assert jobs.get_job(database, job_id).status is Status.QUEUED
    assert "Slurm does not answer" in explain_wait(database, jobs.get_job(database, job_id))
    assert wishes.request_cancel(database, job_id).status is Status.CANCELLED
