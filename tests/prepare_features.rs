//! `croloss prepare` from outside: what is known of items and users, and cold items.

#[path = "common/logs.rs"]
mod logs;

use std::fs;
use std::path::Path;

use croloss::data::Dataset;
use logs::{Place, TABLE, log};
use polars::prelude::*;

fn row<'a>(table: &'a str, name: &str) -> &'a str {
    let line = table.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("{name} in {table}")).rsplit("  ").next().unwrap().trim()
}

/// Brand, price and tags of the item `i{number}`; the log holds i0 to i9.
fn told(number: usize) -> (&'static str, f64, Vec<&'static str>) {
    let tags = ["red", "blue", "old"];
    (
        [["A", "B"][number % 2], "C"][usize::from(number == 3)],
        number as f64 / 4.0,
        tags[..number % 4].to_vec(),
    )
}

/// The items i0 to i8, and n1 and n2 that the log does not hold.
fn items() -> impl Iterator<Item = (String, usize)> {
    (0..9).map(|number| (format!("i{number}"), number)).chain([("n2".into(), 2), ("n1".into(), 1)])
}

fn put_items(place: &Place) {
    let (mut csv, mut json) = ("item,tags,price,brand\n".to_owned(), String::new());
    for (id, number) in items() {
        let (brand, price, tags) = told(number);
        csv += &format!("{id},{},{price},{brand}\n", tags.join("|"));
        let tags: Vec<String> = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
        let tags = tags.join(", ");
        json += &format!(
            "{{\"tags\":[{tags}],\"item\":\"{id}\",\"price\":{price},\"brand\":\"{brand}\"}}\n"
        );
    }
    place.put("items.csv", csv);
    place.put("items.jsonl", json);
    let all: Vec<(String, usize)> = items().collect();
    let of = |number: &(String, usize)| told(number.1);
    let tags: Vec<Series> = all.iter().map(|n| Series::new("".into(), of(n).2)).collect();
    let columns = vec![
        Column::new("brand".into(), all.iter().map(|n| of(n).0).collect::<Vec<_>>()),
        Column::new("item".into(), all.iter().map(|n| n.0.as_str()).collect::<Vec<_>>()),
        Column::new("price".into(), all.iter().map(|n| of(n).1).collect::<Vec<_>>()),
        Column::new("tags".into(), tags),
    ];
    let mut frame = DataFrame::new_infer_height(columns).unwrap();
    let file = fs::File::create(place.path("items.parquet")).unwrap();
    ParquetWriter::new(file).finish(&mut frame).unwrap();
}

const FIELDS: &str =
    "--item-field brand=category --item-field tags=categories --item-field price=number:3";

#[test]
fn fields_of_items_are_prepared_and_summed_up_alike_from_every_format() {
    let place = Place::new();
    place.put("log.csv", log());
    put_items(&place);
    let mut sums = vec![];
    for (file, place_of_n2) in
        [("items.csv", "csv:11"), ("items.jsonl", "jsonl:10"), ("items.parquet", "parquet: row 10")]
    {
        let command =
            format!("prepare --input log.csv {TABLE} --items {file} {FIELDS} --out d --force");
        let said = place.succeeds(&command);
        let first = format!("items.{place_of_n2}, n2");
        for (name, value) in [
            ("items' field brand", "category, 1 values"),
            ("… known of so many items", "90.00 %"),
            // B has i1, i5 and i7, C i3 alone.
            ("… values of fewer than 5, as one", "2"),
            ("items' field price", "number, 3 buckets"),
            ("items' field tags", "categories, 1 values"),
            ("left out: records of other items", "2"),
            ("… the first of them", first.as_str()),
        ] {
            assert_eq!(row(&said, name), value, "{name} in {said}");
        }
        let dataset = Dataset::load_timed(&place.path("d")).unwrap();
        let features = dataset.item_features.as_ref().unwrap();
        let names: Vec<&str> = features.schema.fields.iter().map(|field| &*field.name).collect();
        assert_eq!(names, ["brand", "price", "tags"]);
        // Brands: 1 to 3; prices from 4, of i0 to i8 the thirds begin with those of i3 and i6; tags
        // from 9, red alone has its own: i1 to i3 and i5 to i7.
        assert_eq!(features.schema.fields[1].bounds, [0.75, 1.5]);
        for (item, place) in dataset.items.iter().zip(0..) {
            let number: usize = item.original[1..].parse().unwrap();
            let expected = match number {
                9 => vec![1, 4, 9],
                _ => {
                    let brand = [3, 2][number % 2];
                    let tags = [&[9][..], &[11], &[10, 11], &[10, 11]][number % 4];
                    [&[brand, 6 + number as u32 / 3], tags].concat()
                }
            };
            assert_eq!(features.of(place), expected, "{}", item.original);
        }
        sums.push(dataset.checksum());
    }
    assert!(sums.iter().all(|sum| *sum == sums[0]));
    // Without a file nothing of it is left, nor does it count.
    let plain = place.succeeds(&format!("prepare --input log.csv {TABLE} --out d --force"));
    assert!(!plain.contains("field") && !plain.contains("cold"), "{plain}");
    assert_eq!(fs::read_dir(place.path("d")).unwrap().count(), 4);
}

#[test]
fn items_that_only_their_file_knows_come_last() {
    let place = Place::new();
    place.put("log.csv", log());
    put_items(&place);
    let command = format!("prepare --input log.csv {TABLE} --items items.csv {FIELDS} --out d");
    let said = place.succeeds(&format!("{command} --keep-cold-items"));
    assert_eq!(row(&said, "items that the log does not hold"), "2");
    assert!(!said.contains("the first of them"), "{said}");
    assert_eq!(row(&said, "items  "), "12");
    let dataset = Dataset::load(&place.path("d")).unwrap();
    let last: Vec<_> =
        dataset.items[10..].iter().map(|item| (&*item.original, item.count)).collect();
    assert_eq!(last, [("n2", 0), ("n1", 0)]);
    let features = dataset.item_features.as_ref().unwrap();
    let of =
        |id: &str| features.of(dataset.items.iter().position(|item| item.original == id).unwrap());
    assert_eq!((of("n1"), of("n2")), (of("i1"), of("i2")));
    // They count among those that have a value.
    assert_eq!(features.schema.fields[0].values, ["A"]);
    assert_eq!(features.schema.fields[2].values, ["blue", "red"]);
}

#[test]
fn a_description_says_all_of_it_and_options_go_before() {
    let place = Place::new();
    place.put("log.csv", log());
    put_items(&place);
    place.put("people.tsv", "who\tage\tcity\nu1\t30\tX\nu2\t40\tX\nonce\t1\tX\n");
    place.put(
        "d.toml",
        "name = \"d\"\n[source]\nfiles = [\"log.csv\"]\nuser = \"user\"\nitem = \"item\"\n\
         [items]\nfiles = [\"none.csv\"]\nmin_count = 1\n[items.fields]\nbrand = \"category\"\n\
         [users]\nfiles = [\"people.tsv\"]\nid = \"who\"\nmin_count = 2\n[users.fields]\n\
         age = { kind = \"number\", buckets = 2 }\nhome = { kind = \"category\", column = \"city\" }\n",
    );
    let said = place.fails("prepare d.toml", 2);
    assert!(said.contains("there is no file none.csv"), "{said}");
    let said = place.succeeds("prepare d.toml --items items.jsonl --item-field tags=categories");
    assert_eq!(row(&said, "items' field brand"), "category, 3 values");
    assert_eq!(row(&said, "items' field tags"), "categories, 3 values");
    assert_eq!(row(&said, "users' field home"), "category, 1 values");
    assert_eq!(row(&said, "users' field age"), "number, 2 buckets");
    assert_eq!(row(&said, "left out: records of other users"), "1");
    assert!(said.contains(" people.tsv:4, once\n"), "{said}");
    let dataset = Dataset::load(&place.path("data/d")).unwrap();
    let users = dataset.user_features.unwrap();
    let of = |id: &str| users.of(dataset.users.iter().position(|user| user == id).unwrap());
    // Ages: 1 to 4; homes from 5.
    assert_eq!([of("u1"), of("u2"), of("u3")], [[3, 7], [4, 7], [1, 5]]);
    let text = fs::read_to_string(place.path("data/d/dataset.toml")).unwrap();
    assert!(text.contains("people.tsv") && text.contains("items.jsonl"), "{text}");
}

#[test]
fn taobao_s_categories_are_read_with_the_log() {
    let place = Place::new();
    let mut text = String::new();
    for user in 0..20 {
        for step in 0..6 {
            // 2 is of the category 100, at last of another one.
            let item = (user + step) % 15;
            let category = if (user, item) == (17, 2) { 20 } else { [3, 20, 100][item % 3] };
            text += &format!("{user},{item},{category},pv,{step}\n{user},{item},999,buy,0\n");
        }
    }
    place.put("UserBehavior.csv", text);
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/taobao.toml");
    let said = place.succeeds(&format!("prepare {} --out d", description.display()));
    // Each has five items.
    assert_eq!(row(&said, "items' field category"), "category, 3 values");
    assert_eq!(row(&said, "… values of fewer than 5, as one"), "0");
    assert_eq!(row(&said, "… events that say otherwise later on"), "1");
    let dataset = Dataset::load(&place.path("d")).unwrap();
    assert_eq!(dataset.items.len(), 15);
    for (at, item) in dataset.items.iter().enumerate() {
        let number: usize = item.original.parse().unwrap();
        // As texts ascend: 100, 20, 3.
        let code = [5, 4, 3][number % 3];
        assert_eq!(dataset.item_features.as_ref().unwrap().of(at), [code], "{number}");
    }
}

#[test]
fn cold_items_leave_sequences_and_keep_their_rows() {
    let place = Place::new();
    // Items 0 to 9; of them 0, 4, 8 and more are cold by one in three.
    place.put("log.csv", log().replace(",i", ",").replace("user,tem", "user,item"));
    let cold: Vec<u64> = (0..10).filter(|n| n * 2_654_435_761 % (1 << 32) % 3 == 1).collect();
    let options = "--split leave-one-out --cold-one-in 3 --cold-part 1 --out d";
    let said = place.succeeds(&format!("prepare --input log.csv {TABLE} {options}"));
    // Times fall: the last item of user u is that of the first line.
    let asked: Vec<u64> = (0..20).filter(|user| cold.contains(&(user % 10))).collect();
    let met = (0..20).flat_map(|user| (0..6).map(move |step| (user + step) % 10));
    let taken = met.filter(|item| cold.contains(item)).count();
    for (name, value) in [
        ("items  ", "10".to_owned()),
        ("interactions", (120 - taken).to_string()),
        ("cold items", cold.len().to_string()),
        ("… and their interactions, taken out", taken.to_string()),
        ("… users who had no others, dropped", "0".into()),
        ("… users whose last item is one", asked.len().to_string()),
    ] {
        assert_eq!(row(&said, name), value, "{name} in {said}");
    }
    let dataset = Dataset::load(&place.path("d")).unwrap();
    let known = dataset.cold.unwrap();
    let user = |user: u32| dataset.users[user as usize][1..].parse::<u64>().unwrap();
    assert_eq!(known.targets.iter().map(|(u, _)| user(*u)).collect::<Vec<_>>(), asked);
    // 120 interactions of ten items, 12 each.
    assert!(dataset.items.iter().all(|item| item.count >= 12));
}

#[test]
fn what_cannot_be_told_of_items_and_users_is_refused_and_nothing_is_left() {
    let place = Place::new();
    place.put("log.csv", log());
    put_items(&place);
    place.put("other.csv", "item,brand\nx1,A\nx2,B\n");
    place.put("twice.csv", "item,brand\ni1,A\ni2,B\ni1,B\n");
    place.put("list.jsonl", "{\"item\":\"i1\",\"brand\":[\"A\"]}\n");
    let base = format!("prepare --input log.csv {TABLE}");
    for (options, status, expected) in [
        ("--items items.csv", 2, "no field of the items is given"),
        ("--items nowhere.csv --item-field brand=category", 2, "there is no file nowhere.csv"),
        (
            "--items items.csv --item-field brnd=category",
            2,
            "items.csv has no column `brnd`: did you mean `brand`?",
        ),
        (
            "--items items.csv --item-field brand=category --item-id id",
            2,
            "items.csv has no column `id`",
        ),
        (
            "--items items.csv --item-field item=category",
            2,
            "a field of the items cannot be called \"item\"",
        ),
        (
            "--items items.csv --item-field brand=number",
            1,
            "items.csv:2: the field `brand`: \"A\" is no finite number",
        ),
        (
            "--items items.jsonl --item-field tags=category",
            1,
            "items.jsonl:1: the field `tags`: a list where one value is meant",
        ),
        (
            "--items items.parquet --item-field tags=category",
            1,
            "items.parquet: the field `tags`: the column `tags` holds lists",
        ),
        (
            "--items items.csv --item-field price=number:1",
            2,
            "the field `price`: buckets must be from 2",
        ),
        (
            "--items other.csv --item-field brand=category",
            1,
            "other.csv tells of none of the 10 items of the log that are kept (it begins with the id \
             `x1`, at other.csv:2): is the column",
        ),
        (
            "--items other.csv --item-field brand=category --keep-cold-items",
            1,
            "other.csv tells of none",
        ),
        (
            "--items twice.csv --item-field brand=category",
            1,
            "twice.csv:4: the id `i1` stands in twice.csv:2 too, with another `brand`",
        ),
        (
            "--items list.jsonl --item-field brand=category",
            1,
            "list.jsonl:1: the field `brand`: a list where one value",
        ),
        (
            "--users other.csv --user-id item --user-field brand=category",
            1,
            "other.csv tells of none of the 20 users",
        ),
        ("--item-field brand=category", 2, "log.csv has no column `brand`"),
        (
            "--item-field item=category --keep-cold-items",
            2,
            "the column of ids, and keeping cold items, are for files",
        ),
        ("--cold-one-in 1", 2, "cold_one_in = 1: must be at least 2"),
        ("--cold-part 1", 2, "cold_part says which items are cold"),
        ("--cold-one-in 4 --cold-part 4", 2, "cold_part = 4: must be below"),
        ("--cold-one-in 4 --split none", 2, "cold_one_in is for measuring"),
        ("--cold-one-in 4 --split days --test-days 1", 2, "cold_one_in is not for a split by days"),
        ("--cold-one-in 1000000", 1, "cold_one_in = 1000000 makes no item cold"),
    ] {
        let said = place.fails(&format!("{base} {options}"), status);
        assert!(said.starts_with(expected), "{options}: {said}");
    }
    place.put("plain.txt", "a b\n");
    let plain = "prepare --input plain.txt --format sequences --item-field brand=category";
    let said = place.fails(plain, 2);
    assert!(said.starts_with("the formats user-item and sequences have no column that"), "{said}");
    place.put("d.toml", "name = \"d\"\n[items.fields]\nbrand = \"categry\"\n");
    let said = place.fails("prepare d.toml --input log.csv", 2);
    assert!(
        said.starts_with("d.toml:3: unknown value \"categry\" of `brand`: did you mean"),
        "{said}"
    );
    // The records must not lie in the folder that is replaced.
    place.succeeds(&format!("{base} --out d"));
    fs::rename(place.path("items.csv"), place.path("d/items.csv")).unwrap();
    let said = place.fails(
        &format!("{base} --items d/items.csv --item-field brand=category --out d --force"),
        2,
    );
    assert!(said.starts_with("d is not a dataset folder (it holds items.csv)"), "{said}");
}
