"""Which checkpoints there are, which are kept, and which one a run goes on from."""

import json

from engines.ppo.checkpoints import BEST, PREEMPT, Checkpoints, name_of, state_of


def write(directory):
    (directory / "policy").mkdir()
    (directory / "policy" / "config.json").write_text("{}")
    (directory / "learner.pt").write_bytes(b"state")


def write_policy_alone(directory):
    (directory / "policy").mkdir()
    (directory / "policy" / "config.json").write_text("{}")


def save(checkpoints, epoch, name=None):
    return checkpoints.save(name or name_of("epochs", epoch), {"step": 10 * epoch, "epoch": epoch}, write)


def test_the_newest_are_kept_and_best_and_preempt_beside_them(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 1, PREEMPT)
    checkpoints.save(BEST, {"step": 10, "epoch": 1}, write_policy_alone)
    for epoch in range(2, 6):
        save(checkpoints, epoch)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {
        "epoch_0004",
        "epoch_0005",
        BEST,
        PREEMPT,
    }
    assert checkpoints.newest() == tmp_path / "epoch_0005"
    assert json.loads((tmp_path / "best.json").read_text())["epoch"] == 1
    assert json.loads((tmp_path / "latest.json").read_text())["path"] == "epoch_0005"


def test_what_an_earlier_attempt_left_counts_against_the_limit(tmp_path):
    for epoch in range(1, 4):
        save(Checkpoints(tmp_path, keep=3), epoch)
    save(Checkpoints(tmp_path, keep=3), 4)
    assert Checkpoints(tmp_path, keep=3).kept() == ["epoch_0002", "epoch_0003", "epoch_0004"]


def test_a_checkpoint_that_was_cut_short_does_not_exist(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=5)
    save(checkpoints, 1)
    (save(checkpoints, 2) / "manifest.json").unlink()
    (save(checkpoints, 3) / "learner.pt").unlink()
    (save(checkpoints, 4) / "manifest.json").write_text('{"step": 40, "resu')
    (tmp_path / ".partial-epoch_0005").mkdir()
    assert checkpoints.newest() == tmp_path / "epoch_0001"
    assert checkpoints.kept() == ["epoch_0001"]
    save(checkpoints, 5)
    assert checkpoints.newest() == tmp_path / "epoch_0005"


def test_a_policy_alone_is_nothing_to_go_on_from(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=5)
    save(checkpoints, 1)
    checkpoints.save(BEST, {"step": 70, "epoch": 7}, write_policy_alone)
    assert checkpoints.newest() == tmp_path / "epoch_0001"
    assert state_of(tmp_path / BEST)["epoch"] == 7


def test_a_manifest_names_every_file_with_its_hash(tmp_path):
    place = save(Checkpoints(tmp_path, keep=1), 3)
    manifest = json.loads((place / "manifest.json").read_text())
    assert set(manifest["sha256"]) == {"policy/config.json", "learner.pt", "trainer_state.json"}
    assert manifest["step"] == 30 and manifest["resumable"]
    assert manifest["sha256"]["policy/config.json"].startswith("44136fa355b3678a1146ad16f7e8649e")
