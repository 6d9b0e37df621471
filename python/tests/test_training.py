"""Trainings and sweeps: what they are asked, how far they have got, and how they end."""

import signal
import sys
import threading
import time

import pytest

import croloss
from croloss import _toml


def test_a_configuration_is_a_dict_or_a_file_and_sets_change_it(run, config, place, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(_toml.document(config))
    sets = {"train.steps": 40, "loss": {"kind": "bpr"}, "evaluation.at": [10, 20]}
    other = croloss.train(path, tmp_path / "run", sets=sets, progress=False)
    assert other.config["loss"]["kind"] == "bpr" and other.config["evaluation"]["at"] == [10, 20]
    assert other.result["steps"] == 40 and run.result["steps"] == 60
    warm = croloss.train(config, tmp_path / "warm", warm_start=run.path, sets=sets, progress=False)
    assert warm.config["train"]["warm_start"] == str(run.path)
    with pytest.raises(croloss.Error, match="exists already") as caught:
        croloss.train(config, warm.path, progress=False)
    assert caught.value.status == 2
    assert croloss.train(config, warm.path, force=True, progress=False).result["steps"] == 60


def test_the_configurations_to_begin_with_are_there():
    assert _toml.read(croloss.CONFIGS / "default.toml")["tower"]["encoder"] == "transformer"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"loss": {"alhpa": 1.0}}, "alhpa.*did you mean `alpha`|unknown field `alhpa`"),
        ({"train": {"steps": None}}, "train.steps: None is no value of a configuration"),
        ({"data": {"path": "nowhere"}}, "nowhere"),
        ({"train": {"steps": float("inf")}}, "train.steps: inf is no value"),
    ],
)
def test_a_wrong_configuration_is_refused_by_the_program_s_sentence(config, tmp_path, change, says):
    with pytest.raises(croloss.Error, match=says):
        croloss.train({**config, **change}, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_dicts_become_toml(tmp_path):
    table = {
        "text": 'quotes " and \\ and \n and \x7f and ü',
        "numbers": [1, -2.5, 1e-8, 1e22, True],
        "tables": [{"from": "uniform", "count": 5}, {}],
        "inner": {"loss.kind": "cro", "deep": {"x": []}},
    }
    path = tmp_path / "c.toml"
    path.write_text(_toml.document(table), encoding="utf-8")
    assert _toml.read(path) == table


def test_the_bar_counts_steps_and_points(config, tmp_path, bar, capsys):
    croloss.train(config, tmp_path / "run")
    assert bar.last.total == 60 and bar.last.seen[-4:] == [20, 40, 60, 60] and not bar.last.open
    said = capsys.readouterr()
    assert "step 40: recall %" in said.err and "Run folder" in said.out
    sweep = {"base": config, "seeds": [1, 2], "grid": [{"name": "all", "cases": [{"name": "as-it-is", "set": {}}]}]}
    runs = croloss.sweep(sweep, tmp_path / "runs")
    assert (bar.last.total, bar.last.n) == (2, 2)
    assert sorted(run.config["seed"] for run in runs) == [1, 2]
    assert "2 ran, 0 of them failed" in capsys.readouterr().out
    assert (tmp_path / "runs" / "results.csv").is_file()
    # A second call finds them done.
    assert [run.path for run in croloss.sweep(sweep, tmp_path / "runs", progress=False)] == [run.path for run in runs]
    with pytest.raises(croloss.Error, match="1 points failed"):
        croloss.sweep({**sweep, "seeds": [1]}, tmp_path / "bad", sets={"optimizer.learning_rate": 1e30}, progress=False)


def test_without_tqdm_there_are_lines(config, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    croloss.train(config, tmp_path / "run")
    assert "step 60: recall %" in capsys.readouterr().err
    croloss.train(config, tmp_path / "run", force=True, progress=False)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


class Interrupt:
    """Interrupts this process once a run has logged some more lines of its training."""

    def __init__(self, run, lines):
        self.log, self.over = run / "metrics.jsonl", threading.Event()
        self.wanted = self.logged() + lines
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        # A job in the background of a shell ignores interrupts.
        self.before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.thread.start()

    def __exit__(self, *error):
        self.over.set()
        self.thread.join()
        signal.signal(signal.SIGINT, self.before)

    def logged(self):
        return self.log.read_text().count('"train"') if self.log.is_file() else 0

    def watch(self):
        deadline = time.monotonic() + 120
        # A training that says nothing is interrupted all the same, and the test of it fails.
        while self.logged() < self.wanted and time.monotonic() < deadline:
            if self.over.wait(0.02):
                return
        # It is that thread that waits for the program, and is to be woken.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def test_an_interrupt_leaves_a_checkpoint_that_is_gone_on_from(config, tmp_path):
    run = tmp_path / "run"
    # It does not end by itself.
    sets = {"train.steps": 10**9, "train.validate_every": 10**9, "train.log_every": 10}
    for lines in [2, 4]:
        with Interrupt(run, lines=2), pytest.raises(KeyboardInterrupt, match="stopped by SIGINT"):
            croloss.train(config, run, sets=sets, resume=True, progress=False)
        steps = max(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))
        logged = [line["step"] for line in croloss.load_run(run).metrics("train")]
        # Every tenth step is logged once, whichever of the two calls trained it.
        assert logged == [*range(10, steps + 1, 10)] and len(logged) >= lines


def test_a_call_says_what_clap_says(tmp_path):
    with pytest.raises(croloss.Error, match="unexpected argument '--nonsense'") as caught:
        croloss.call("train", "--nonsense", progress=False)
    assert caught.value.status == 2
    assert croloss.call("--version").startswith(f"croloss {croloss.__version__}")
