from types import SimpleNamespace

import pytest

from engines.training.callbacks import EventCallback, GreedyEvalCallback, StopOnRequest


def trainer_state(step=0, history=()):
    state = SimpleNamespace(global_step=step, max_steps=10, log_history=list(history))
    return state, SimpleNamespace(should_log=False, should_save=False, should_training_stop=False)


def log(callback, state, control, tokens, loss=1.0):
    logs = {"loss": loss, "learning_rate": 0.1, "epoch": 0.5, "num_tokens": float(tokens), "total_flos": 7.0}
    state.log_history.append(logs)
    callback.on_log(None, state, control, logs=logs)


def values(events):
    return [event["values"] for event in events if event["kind"] == "metrics"]


def test_tokens_go_on_counting_after_a_resume(make_run, read_events):
    attempt = make_run()
    callback = EventCallback(attempt)
    state, control = trainer_state(step=3, history=[{"step": 3, "tokens": 500}])
    callback.on_train_begin(None, state, control)
    log(callback, state, control, 100)
    log(callback, state, control, 250)
    assert [entry["tokens"] for entry in values(read_events(attempt))] == [600, 750]
    assert callback.tokens == 750
    assert all(entry["tokens_per_second"] > 0 for entry in values(read_events(attempt)))


def test_only_the_agreed_metrics_are_written_and_nan_is_not_hidden(make_run, read_events):
    attempt = make_run()
    callback = EventCallback(attempt)
    state, control = trainer_state()
    callback.on_train_begin(None, state, control)
    log(callback, state, control, 10, loss=float("nan"))
    [entry] = values(read_events(attempt))
    assert set(entry) == {
        "loss",
        "learning_rate",
        "epoch",
        "tokens",
        "tokens_per_second",
        "steps_per_second",
    }
    assert entry["loss"] == "nan"


def test_the_trainers_own_history_stays_short(make_run):
    callback = EventCallback(make_run())
    state, control = trainer_state()
    callback.on_train_begin(None, state, control)
    for step in range(50):
        log(callback, state, control, step)
    assert len(state.log_history) == 1


def test_a_checkpoint_is_preceded_by_a_log_and_announced(make_run, read_events):
    attempt = make_run()
    callback = EventCallback(attempt)
    state, control = trainer_state(step=4)
    control.should_save = True
    callback.on_step_end(None, state, control)
    assert control.should_log
    callback.on_save(None, state, control)
    [event] = [event for event in read_events(attempt) if event["kind"] == "checkpoint"]
    assert (event["step"], event["path"]) == (4, "checkpoints/checkpoint-4")


def test_the_last_step_is_always_reported_as_progress(make_run, read_events):
    attempt = make_run()
    callback = EventCallback(attempt)
    state, control = trainer_state()
    callback.on_train_begin(None, state, control)
    for state.global_step in range(1, 11):
        callback.on_step_end(None, state, control)
    progress = [event["done"] for event in read_events(attempt) if event["kind"] == "progress"]
    assert progress[-1] == 10 and len(progress) < 10


@pytest.mark.parametrize("requested", [True, False])
def test_training_stops_with_a_checkpoint_only_when_asked(make_run, requested):
    attempt = make_run()
    attempt.stop_requested = requested
    state, control = trainer_state()
    StopOnRequest(attempt).on_step_end(None, state, control)
    assert control.should_save == control.should_training_stop == requested


def test_dev_accuracy_is_written_and_offered_to_the_selection_of_checkpoints(make_run, read_events):
    attempt = make_run()
    callback = GreedyEvalCallback(attempt, lambda model: {"dev_accuracy_strict": model / 4})
    state, control = trainer_state(step=6)
    metrics = {"eval_loss": 1.0}
    callback.on_evaluate(None, state, control, model=2, metrics=metrics)
    assert metrics == {"eval_loss": 1.0, "eval_dev_accuracy_strict": 0.5}
    assert values(read_events(attempt)) == [{"dev_accuracy_strict": 0.5}]


def test_tokens_that_the_trainers_state_remembers_are_not_counted_twice(make_run, read_events):
    """GRPO's trainer goes on counting after a resume, where SFT's begins again."""
    attempt = make_run()
    callback = EventCallback(attempt)
    state, control = trainer_state(step=3, history=[{"step": 3, "tokens": 500, "trained_tokens": 70}])
    state.num_input_tokens_seen = 500
    callback.on_train_begin(None, state, control)
    log(callback, state, control, 600)
    assert callback.tokens == 600
    callback.on_log(None, state, control, logs={"loss": 1.0, "epoch": 1.0, "num_trained_tokens": 30})
    assert callback.tokens == 600 and callback.trained_tokens == 100
    assert state.log_history == [{"step": 3, "tokens": 600, "trained_tokens": 100}]


def test_rewards_and_lengths_go_out_under_short_names(make_run, read_events):
    attempt = make_run()
    callback = EventCallback(attempt, passes=2)
    state, control = trainer_state()
    callback.on_train_begin(None, state, control)
    logs = {"loss": 1.0, "epoch": 0.5, "rewards/verifiable/mean": 0.2, "kl": None}
    callback.on_log(None, state, control, logs=logs | {"completions/mean_terminated_length": 9.0})
    [entry] = values(read_events(attempt))
    assert entry["rewards/verifiable/mean"] == 0.2 and entry["length/terminated"] == 9.0
    assert entry["epoch"] == 1.0 and "kl" not in entry


def test_dev_accuracy_is_measured_every_so_many_steps_and_at_the_end(make_run, read_events):
    attempt = make_run()
    callback = GreedyEvalCallback(attempt, lambda model: {"dev_accuracy_strict": 0.5}, every=4)
    state, control = trainer_state()
    for state.global_step in range(1, 11):
        callback.on_step_end(None, state, control, model=None)
    steps = [event["step"] for event in read_events(attempt)]
    assert steps == [4, 8, 10]
