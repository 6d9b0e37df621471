"""Searches: what they are asked, and what they have found."""

import json
from datetime import timedelta

import numpy
import pandas
import pytest

import croloss

#: Of learning rates alone, so that points differ by much.
SPACE = {
    "seeds": [1, 2],
    "grid": [{"name": "rate", "axes": {"optimizer.learning_rate": {"from": 0.0001, "to": 0.1, "log": True}}}],
}
#: Rungs at 2, 6, 18 and 54 steps.
STEPS = {"train.steps": 54, "train.validate_every": 2, "train.patience": 100}
METRICS = ["recall@10", "recall@50"]


@pytest.fixture(scope="module")
def search(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "found"
    return croloss.tune(config, METRICS, out, space=SPACE, points=3, sets=STEPS, progress=False)


def recalls(run, metric):
    return [line[metric] for line in run.metrics("validation")]


def test_of_each_metric_the_best_stands_with_its_runs_and_its_configuration(search):
    assert list(search.best) == METRICS
    for metric, best in search.best.items():
        assert best.metric == metric and best.words.startswith(f"For {metric} ")
        assert best.words in search.words
        assert best.config["train"] == {**best.runs[0].config["train"], "monitor": metric}
        assert best.config["optimizer"] == best.runs[0].config["optimizer"]
        chosen, other = best.cases
        assert [run.path for run in best.runs] == [run.path for run in chosen.runs]
        assert chosen.validation >= other.validation
        for case in best.cases:
            assert sorted(run.config["seed"] for run in case.runs) == [1, 2]
            for part, mean, sd in [
                ("validation", case.validation, case.validation_sd),
                ("test", case.test, case.test_sd),
            ]:
                values = [run.result[part][metric] for run in case.runs]
                assert numpy.isclose(mean, numpy.mean(values)) and numpy.isclose(sd, numpy.std(values, ddof=1))
        assert numpy.isclose(best.gain.mean, chosen.test - other.test) and best.gain.of_seeds
        assert best.gain.low <= best.gain.mean <= best.gain.high
    assert croloss.train(best.config, search.path.with_name("again"), progress=False).result["steps"] == 54


def test_the_ranking_has_a_row_a_point_the_best_first(search):
    points = [croloss.load_run(row["run"]) for row in search.best["recall@10"].ranking]
    assert search.steps == sum(run.metrics()[-1]["step"] for run in points)
    for metric, best in search.best.items():
        rows = pandas.DataFrame(best.ranking)
        assert list(rows) == ["point", "run", "share", "validation"] and len(rows) == 3
        assert {"the configuration itself"} < set(rows["point"])
        order = list(zip(rows["share"], rows["validation"], strict=True))
        assert order == sorted(order, reverse=True)
        for row in best.ranking:
            values = recalls(croloss.load_run(row["run"]), metric)
            assert row["validation"] == max(values) and len(values) == round(27 * row["share"])


def test_a_search_is_found_again_and_gone_on_with(search, config, capsys):
    assert croloss.load_search(search.path).words == search.words
    file = search.path.with_name("sweep.toml")
    base = search.path.with_name("base.toml")
    base.write_text(croloss._toml.document(config))
    file.write_text(croloss._toml.document({**SPACE, "base": str(base)}))
    before = sorted(search.path.iterdir())
    # A sweep is a configuration and a space in one; and all is done.
    for whole in [file, {**SPACE, "base": config}]:
        again = croloss.tune(whole, METRICS, search.path, points=3, sets=STEPS, budget=timedelta(minutes=1))
        assert again.words == search.words and sorted(search.path.iterdir()) == before
        assert search.words in capsys.readouterr().out
    with pytest.raises(croloss.Error, match=r"holds another search .other metrics.") as caught:
        croloss.tune(config, "recall@10", search.path, space=SPACE, points=3, sets=STEPS, progress=False)
    assert caught.value.status == 2


def test_the_bar_counts_what_is_trained(config, tmp_path, bar, capsys):
    space = {**SPACE, "seeds": [1]}
    croloss.tune(config, "recall@10", tmp_path / "found", space=space, points=2, sets=STEPS)
    said = capsys.readouterr()
    parts = [line for line in said.err.splitlines() if line.startswith("[")]
    # First the parts of points, then the runs of the best and of what it is compared with.
    seen = [int(line[1:].split("/")[0]) for line in parts]
    starts = [at for at, count in enumerate(seen) if count == 1]
    assert (
        len(starts) == 2 and len(seen) == 4 and seen == [*range(1, starts[1] + 1), *range(1, len(seen) - starts[1] + 1)]
    )
    assert bar.last.seen[:-1] == seen and bar.last.n == bar.last.total and not bar.last.open
    assert "To train it" in said.out


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        ({"metrics": []}, "--for"),
        ({"metrics": "recall@ten"}, "recall@ten"),
        ({"metrics": "recall@10", "budget": "soon"}, "soon"),
        ({"metrics": "recall@10", "points": 0}, "0"),
        ({"metrics": "recall@10", "space": {"grid": []}}, "grid"),
        ({"metrics": "recall@10", "sets": {"train.monitor": "recall@50"}}, "train.monitor.*--for"),
        ({"metrics": "recall@10", "budget": timedelta(0)}, "no point of the search came to its first validation"),
    ],
)
def test_what_cannot_work_is_refused_by_the_program_s_sentence(config, tmp_path, ask, says):
    with pytest.raises(croloss.Error, match=says) as caught:
        croloss.tune(config, out=tmp_path / "found", progress=False, **{"space": SPACE, **ask})
    assert caught.value.status == 2


def test_a_folder_without_an_end_and_another_version_are_refused(search, tmp_path):
    with pytest.raises(croloss.Error, match=r"no found\.json"):
        croloss.load_search(tmp_path)
    found = json.loads((search.path / "found.json").read_text())
    assert found["format"] == "1.0"
    (tmp_path / "found.json").write_text(json.dumps({**found, "format": "99.0"}))
    with pytest.raises(croloss.Error, match=r"the search .* has format 99\.0, and format 1 is read here"):
        croloss.load_search(tmp_path)
