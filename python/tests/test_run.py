"""Run folders."""

import json

import numpy
import pytest

import croloss


def test_config_and_metrics_are_those_of_the_folder(run):
    assert run.config["tower"]["dim"] == 8 and run.config["loss"]["kind"] == "cro"
    assert [line["step"] for line in run.metrics("train")] == [10, 20, 30, 40, 50, 60]
    assert all(line["loss"] > 0 for line in run.metrics("train"))
    assert [line["step"] for line in run.metrics("validation")] == [20, 40, 60]
    (test,) = run.metrics("test")
    assert test["recall@10"] == run.result["test"]["recall@10"] > 0
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert run.metrics() == [json.loads(line) for line in lines] and len(lines) == 10


def test_ranks_give_the_recall_that_was_measured(run):
    ranks = run.ranks().to_pandas()
    assert list(ranks) == ["user", "original_user", "item", "original_item", "rank"]
    for n in [10, 50]:
        recall = (ranks["rank"] <= n).groupby(ranks["original_user"]).mean().mean()
        assert numpy.isclose(recall, run.result["test"][f"recall@{n}"], rtol=1e-12)


def test_a_run_that_goes_on_has_no_result_and_the_lines_that_are_whole(run, tmp_path):
    (tmp_path / "config.toml").write_bytes((run.path / "config.toml").read_bytes())
    begun = croloss.load_run(tmp_path)
    assert begun.metrics() == [] and begun.config == run.config
    (tmp_path / "metrics.jsonl").write_text('{"part":"train","step":1,"seconds":0.1,"loss":2.0}\n{"part":"tra')
    assert [line["step"] for line in begun.metrics()] == [1]
    for what in [lambda: begun.result, begun.ranks]:
        with pytest.raises(croloss.Error, match=r"no result yet|there is no .*ranks.parquet"):
            what()


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(croloss.Error, match="not a run folder"):
        croloss.load_run(tmp_path)
