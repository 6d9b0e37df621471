"""Exports, against scores of all items by numpy."""

import json
import shutil

import numpy
import pandas
import pytest
from conftest import CONFIG, prepare

import croloss

UNKNOWN = "no such item"


@pytest.fixture(scope="module")
def scores(export, histories):
    """`[users, items]`"""
    return export.user_vectors(histories) @ numpy.asarray(export.item_vectors).T


def best(export, scores, top):
    """Rows of the best items that have a score, the best first."""
    rows = numpy.argsort(-scores, kind="stable")[:top]
    return [(export.items[row], scores[row]) for row in rows if scores[row] > -numpy.inf]


def assert_same(found, expected):
    assert len(found) == len(expected) > 0
    for own, wanted in zip(found, expected, strict=True):
        assert [item for item, _ in own] == [item for item, _ in wanted]
        assert numpy.allclose([score for _, score in own], [score for _, score in wanted], rtol=1e-5)


def test_item_vectors_are_mapped_and_those_of_the_other_file(export):
    vectors = export.item_vectors
    assert isinstance(vectors, numpy.memmap) and not vectors.flags.writeable
    raw = (export.path / "item_vectors.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    about = json.loads(raw[8 : 8 + length])["item_vectors"]
    start, end = about["data_offsets"]
    other = numpy.frombuffer(raw[8 + length + start : 8 + length + end], "<f4").reshape(about["shape"])
    assert numpy.array_equal(vectors, other) and vectors.shape == (len(export.items), 8)


def test_recommendations_are_the_best_of_all_scores(export, histories, scores):
    expected = [best(export, own, 7) for own in scores]
    assert_same(export.recommend(histories, top=7), expected)


def test_what_is_seen_or_denied_is_left_out_and_only_what_is_allowed_is_given(export, histories, scores):
    rows = {item: row for row, item in enumerate(export.items)}
    left = scores.copy()
    for own, history in zip(left, histories, strict=True):
        own[[rows[item] for item in history if item in rows]] = -numpy.inf
    allow, deny = export.items[:200], export.items[100:]
    for settings, barred in [
        ({}, []),
        ({"deny": deny}, range(100, len(rows))),
        ({"allow": allow}, range(200, len(rows))),
    ]:
        narrowed = left.copy()
        narrowed[:, list(barred)] = -numpy.inf
        found = export.recommend(histories, top=10, exclude_seen=True, **settings)
        assert_same(found, [best(export, own, 10) for own in narrowed])


def test_unknown_items_are_passed_over_and_numbers_are_ids(export, histories, scores):
    history = [UNKNOWN, *histories[0]]
    assert numpy.allclose(export.user_vectors([history]) @ export.item_vectors.T, scores[:1], atol=1e-5)
    with pytest.warns(UserWarning, match="1 histories have no known item"):
        found = export.recommend([[UNKNOWN], history], top=3)
    assert found[0] == []
    assert_same(found[1:], [best(export, scores[0], 3)])
    numbers = [numpy.int64(item) for item in histories[1]]
    assert numpy.array_equal(export.user_vectors([numbers]), export.user_vectors(histories[1:2]))
    assert export.recommend([numbers]) == export.recommend(histories[1:2])
    assert export.recommend([]) == [] and export.user_vectors([]).shape == (0, 8)


def test_ids_may_hold_what_ends_lines_elsewhere(place, tmp_path):
    log = pandas.read_csv(place / "log.csv", dtype=str)
    log["item"] = log["item"].map("a\u2028{}\u0085".format)
    log.to_csv(tmp_path / "log.csv", index=False)
    prepare(tmp_path)
    croloss.train({**CONFIG, "data": {"path": tmp_path / "data"}}, tmp_path / "run", progress=False)
    croloss.call("export", tmp_path / "run", "--out", tmp_path / "export", progress=False)
    own = croloss.load_export(tmp_path / "export")
    [found] = own.recommend([own.items[:2]], top=5)
    assert len(found) == 5 and {item for item, _ in found} <= set(own.items)


def test_more_users_than_a_block_are_those_of_each_alone(export, histories, monkeypatch):
    whole = export.user_vectors(histories)
    monkeypatch.setattr("croloss._export.USERS", 7)
    assert numpy.allclose(export.user_vectors(histories), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (
            lambda export: export.user_vectors([export.items[:1], [UNKNOWN]]),
            r"1 histories have no known .* histories\[1\]",
        ),
        (lambda export: export.recommend([[UNKNOWN]]), "no history has a known item"),
        (lambda export: export.user_vectors(["12"]), "'12' is a text where a list of ids is meant"),
        (lambda export: export.recommend([[1.5]]), "an id is a text or a whole number, and 1.5 is none"),
        (lambda export: export.user_vectors([export.items], [{"age": 3}]), "reads no fields of users"),
        (lambda export: export.recommend([["1"]], fields=[{"age": 3}]), "reads no fields of users"),
        (lambda export: export.recommend([["1"]], fields=[]), "told of 0 users, and there are 1 histories"),
        (lambda export: export.recommend([["1"]], top=0), "invalid value '0' for '--top"),
    ],
)
def test_what_cannot_be_answered_is_refused(export, ask, says):
    with pytest.raises(croloss.Error, match=says):
        ask(export)


@pytest.mark.parametrize("name", ["item_vectors.npy", "items.parquet", "user_tower.pt"])
def test_an_altered_file_is_refused(export, tmp_path, name):
    copy = shutil.copytree(export.path, tmp_path / "copy")
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    opened = croloss.load_export(copy)
    with pytest.raises(croloss.Error, match=f"{name} is truncated or altered"):
        opened.user_vectors([opened.items]) @ opened.item_vectors.T


def test_another_folder_and_another_version_are_refused(export, tmp_path):
    with pytest.raises(croloss.Error, match="not an export: make one with croloss export"):
        croloss.load_export(tmp_path)
    (tmp_path / "export.json").write_text(json.dumps({**export.manifest, "format": 99}))
    with pytest.raises(croloss.Error, match="has format 99, and format 1 is read here"):
        croloss.load_export(tmp_path)
