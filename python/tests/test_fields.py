"""Fields of users: vectors with them give the scores that the program gives."""

import json

import numpy
import pandas
import pytest
from conftest import CONFIG, prepare

import croloss

#: All, nothing, a part, what training has not met, and values of other types.
TOLD = [
    {"country": "UK", "age": 31, "tags": ["b", "a"]},
    None,
    {"age": 22.5, "country": None, "tags": []},
    {"country": "?", "tags": ["?", "a", "!", "a", None]},
    {"age": " 1000 ", "tags": "c"},
    {"age": numpy.float64(25), "country": numpy.int64(7), "tags": numpy.array(["a", "c"])},
    {"country": 7, "tags": [1e-7, 5.0, True, 1e16]},
    {"country": ""},
]


@pytest.fixture(scope="module")
def export(place, tmp_path_factory):
    """Of a model of users' fields."""
    own = tmp_path_factory.mktemp("fields")
    (own / "log.csv").symlink_to(place / "log.csv")
    users = pandas.read_csv(own / "log.csv", dtype=str)["user"].unique()
    tags = ["a", "b", "c", 1e-7, 5.0, True, 1e16]
    with (own / "users.jsonl").open("w") as file:
        for n, user in enumerate(users):
            told = {"country": ["DE", "UK", "FR", 7][n % 4], "age": 20 + n % 40, "tags": [tags[n % 7], tags[n % 3]]}
            file.write(json.dumps({"user": user, **(told if n % 6 else {})}) + "\n")
    fields = ["country=category", "age=number:3", "tags=categories"]
    prepare(own, "--users", own / "users.jsonl", *(word for own in fields for word in ("--user-field", own)))
    config = {**CONFIG, "data": {"path": own / "data"}}
    # In another order than the dataset has them.
    config["tower"] = {**CONFIG["tower"], "user_features": ["tags", "country", "age"]}
    croloss.train(config, own / "run", progress=False)
    croloss.call("export", own / "run", "--out", own / "export", progress=False)
    return croloss.load_export(own / "export")


def test_vectors_with_fields_give_the_scores_of_the_program(export, histories):
    told = [TOLD[n % len(TOLD)] for n in range(len(histories))]
    found = export.recommend(histories, top=len(export.items), fields=told)
    vectors = export.user_vectors(histories, told)
    rows = {item: row for row, item in enumerate(export.items)}
    for own, vector in zip(found, vectors, strict=True):
        scores = vector @ export.item_vectors.T
        assert len(own) == len(rows)
        assert numpy.allclose([scores[rows[item]] for item, _ in own], [score for _, score in own], atol=1e-5)
    # They do tell something, and where nothing is told it is as if nobody had asked.
    without = export.user_vectors(histories)
    differs = numpy.abs(vectors - without).max(axis=1) > 1e-4
    assert [bool(own) for own in differs] == [bool(set(one or {}) - {"x"}) and one != TOLD[7] for one in told]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"contry": "UK"}, "there is no field .contry."),
        ({"age": "old"}, "the field .age.: .old. is no finite number"),
        ({"age": "1_0"}, "the field .age.: .1_0. is no finite number"),
        ({"age": float("nan")}, "(?s)the field .age.|expected value"),
        ({"age": True}, "the field .age.: .true. is no finite number"),
        ({"age": [1, 2]}, "the field .age.: a list where"),
        ({"country": ["UK"]}, "the field .country.: a list where one value is meant"),
        ({"tags": {"a": 1}}, "is no text, number, or list of these|invalid type: map"),
    ],
)
def test_what_is_no_value_is_refused_here_as_there(export, histories, told, says):
    for ask in [export.user_vectors, lambda history, fields: export.recommend(history, fields=fields)]:
        with pytest.raises(croloss.Error, match=says):
            ask(histories[:1], [told])
