//! Codes of what is known against a slow plain form of them, for any records.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::data::{Features, FieldKind, FieldValue, Rules, SplitBy, SplitRule};

/// What a file says of an item, if anything: category, categories, number.
type Row = (u32, Option<u8>, Vec<u8>, Option<i32>);

const FIELDS: &str = "brand = \"category\"\nprice = { kind = \"number\", buckets = 4 }\n\
                      tags = \"categories\"\n";

fn text(value: u8) -> String {
    ["ä", "b|c", " ", "Z", "10", "9"]
        .get(usize::from(value))
        .map_or_else(|| value.to_string(), |t| t.to_string())
}

/// A record as a line of JSON.
fn line((item, brand, tags, price): &Row) -> String {
    let tags: Vec<String> = tags.iter().map(|tag| text(*tag)).collect();
    let record = serde_json::json!({
        "item": item.to_string(), "brand": brand.map(text), "tags": tags, "price": price,
    });
    format!("{record}\n")
}

/// A log in which `met` stands, all of it met by one user, and the description of both.
fn described(dir: &std::path::Path, met: &[u32], rows: &[Row], items: &str) -> Result<Dataset> {
    let log = met.iter().map(|item| format!("u,{item}\n")).collect::<String>();
    fs::write(dir.join("log.csv"), format!("user,item\n{log}")).unwrap();
    fs::write(dir.join("items.jsonl"), rows.iter().map(line).collect::<String>()).unwrap();
    let text = format!(
        "name = 'x'\n[items]\nfiles = ['{}']\n{items}\n[items.fields]\n{FIELDS}",
        dir.join("items.jsonl").display()
    );
    fs::write(dir.join("d.toml"), text).unwrap();
    let mut description = Description::load(&dir.join("d.toml")).unwrap();
    description.source.files = vec![dir.join("log.csv")];
    (description.source.user, description.source.item) = (Some("user".into()), Some("item".into()));
    description.rules = Rules { min_item_count: 1, min_user_count: 1, short_users_first: false };
    description.split = SplitRule { by: SplitBy::None, ..SplitRule::default() };
    prepare_described(&description, &mut |_| {})
}

/// The names of the codes of each field: missing, rare, then the values or the buckets' bounds.
#[derive(Debug, PartialEq)]
struct Plain {
    names: Vec<Vec<String>>,
    codes: Vec<Vec<u32>>,
}

/// The codes written down a second time: those of the items of the catalogue, in its order.
fn plain(rows: &[Row], catalogue: &[u32], min_count: usize) -> Plain {
    let row = |item: &u32| rows.iter().find(|row| row.0 == *item);
    let brands = |row: &Row| row.1.map(text).into_iter().collect::<BTreeSet<String>>();
    let tags = |row: &Row| row.2.iter().map(|tag| text(*tag)).collect::<BTreeSet<String>>();
    let own = |of: &dyn Fn(&Row) -> BTreeSet<String>| {
        let all: Vec<String> = catalogue.iter().filter_map(row).flat_map(of).collect();
        let frequent =
            |text: &&String| all.iter().filter(|other| other == text).count() >= min_count;
        all.iter()
            .filter(frequent)
            .cloned()
            .collect::<BTreeSet<String>>()
            .into_iter()
            .collect::<Vec<_>>()
    };
    let mut prices: Vec<i32> = catalogue.iter().filter_map(row).filter_map(|row| row.3).collect();
    prices.sort();
    let bounds: BTreeSet<i32> = (1..4)
        .filter(|_| !prices.is_empty())
        .map(|k| prices[k * prices.len() / 4])
        .filter(|bound| *bound > prices[0])
        .collect();
    let (brand_names, tag_names) = (own(&brands), own(&tags));
    let first = |before: usize| before as u32;
    let prices_from = 1 + brand_names.len() + 2;
    let tags_from = prices_from + bounds.len() + 1 + 2;
    let texts = |values: BTreeSet<String>, names: &[String], from: usize| -> BTreeSet<u32> {
        let code = |value: String| match names.iter().position(|name| *name == value) {
            Some(place) => first(from + 2 + place),
            None => first(from + 1),
        };
        let codes: BTreeSet<u32> = values.into_iter().map(code).collect();
        if codes.is_empty() { BTreeSet::from([first(from)]) } else { codes }
    };
    let codes = catalogue.iter().map(|item| {
        let none = (*item, None, vec![], None);
        let row = row(item).unwrap_or(&none);
        let price = match row.3 {
            None => first(prices_from),
            Some(price) => {
                let below = bounds.iter().filter(|bound| **bound <= price).count();
                first(prices_from + 2 + below)
            }
        };
        let brand = texts(brands(row), &brand_names, 1);
        brand.into_iter().chain([price]).chain(texts(tags(row), &tag_names, tags_from)).collect()
    });
    let bounds = bounds.iter().map(|bound| format!("{bound}")).collect();
    Plain { codes: codes.collect(), names: vec![brand_names, bounds, tag_names] }
}

fn held(features: &Features) -> Plain {
    let names = features.schema.fields.iter().map(|field| match field.kind {
        FieldKind::Number => field.bounds.iter().map(|bound| format!("{bound}")).collect(),
        _ => field.values.clone(),
    });
    let codes = (0..features.len()).map(|of| features.of(of).to_vec());
    Plain { names: names.collect(), codes: codes.collect() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn codes_are_what_a_slow_plain_form_makes(
        met in vec(0u32..30, 1..60),
        rows in vec(
            (0u32..40, prop::option::of(0u8..9), vec(0u8..9, 0..4), prop::option::of(-4i32..20)),
            1..40,
        ),
        min_count in 1usize..4,
        keep_cold in any::<bool>(),
    ) {
        // An id says one thing.
        let mut known = BTreeSet::new();
        let rows: Vec<Row> = rows.into_iter().filter(|row| known.insert(row.0)).collect();
        let dir = tempfile::tempdir().unwrap();
        let items = format!("min_count = {min_count}\nkeep_cold = {keep_cold}");
        let made = described(dir.path(), &met, &rows, &items);
        if !rows.iter().any(|row| met.contains(&row.0)) {
            let said = made.unwrap_err().to_string();
            prop_assert!(said.contains("items.jsonl tells of none of the"), "{}", said);
            return Ok(());
        }
        let dataset = made.unwrap();
        let catalogue: Vec<u32> = dataset.items.iter().map(|item| item.original.parse().unwrap()).collect();
        let others: Vec<u32> = rows.iter().map(|row| row.0).filter(|item| !met.contains(item)).collect();
        let of_log = BTreeSet::from_iter(met.iter().copied());
        prop_assert_eq!(BTreeSet::from_iter(catalogue[..of_log.len()].iter().copied()), of_log.clone());
        prop_assert_eq!(&catalogue[of_log.len()..], if keep_cold { &others[..] } else { &[] });
        prop_assert!(dataset.items[of_log.len()..].iter().all(|item| item.count == 0));
        let counts = dataset.manifest.items.as_ref().unwrap();
        let left = (counts.kept_cold, counts.left_out);
        let number = others.len() as u64;
        prop_assert_eq!(left, if keep_cold { (number, 0) } else { (0, number) });
        let first = rows.iter().position(|row| !met.contains(&row.0)).filter(|_| !keep_cold);
        let expected = first.map(|at| LeftOut {
            id: rows[at].0.to_string(),
            place: format!("{}:{}", dir.path().join("items.jsonl").display(), at + 1),
        });
        prop_assert_eq!(&counts.first_left_out, &expected);

        let features = dataset.item_features.as_ref().unwrap();
        let expected = plain(&rows, &catalogue, min_count);
        prop_assert_eq!(held(features), expected);
        // A record that comes later is coded alike.
        for (place, item) in catalogue.iter().enumerate() {
            let mut record = BTreeMap::new();
            if let Some((_, brand, tags, price)) = rows.iter().find(|row| row.0 == *item) {
                let brand = brand.map_or(FieldValue::Missing, |brand| FieldValue::One(text(brand)));
                let tags = tags.iter().map(|tag| text(*tag)).collect();
                record.insert("brand".to_owned(), brand);
                record.insert("tags".to_owned(), FieldValue::Many(tags));
                record.extend(price.map(|price| ("price".to_owned(), FieldValue::Number(price.into()))));
            }
            prop_assert_eq!(features.schema.codes(&record).unwrap(), features.of(place));
        }
        // What is written is read.
        dataset.save(&dir.path().join("out"), false).unwrap();
        let loaded = Dataset::load_timed(&dir.path().join("out")).unwrap();
        prop_assert_eq!(&loaded.item_features, &dataset.item_features);
        prop_assert_eq!(loaded.checksum(), dataset.checksum());
    }
}

#[test]
fn fields_of_the_log_are_what_an_item_was_first_called() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.csv");
    let lines = "u,a,,DE,5\nu,b,x,FR,\nv,a,y|z,AT,7\nv,a,x,,5\nv,b,x,AT,1\nv,c,,AT,\n";
    fs::write(&path, format!("user,item,tags,country,price\n{lines}")).unwrap();
    let text = "name = 'x'\n[source]\nuser = 'user'\nitem = 'item'\n[split]\nby = 'none'\n[rules]\n\
                min_item_count = 1\nmin_user_count = 1\n[items]\nmin_count = 1\n[items.fields]\n\
                kind = { kind = 'categories', column = 'tags' }\nprice = 'number'\n[users]\n\
                min_count = 1\n[users.fields]\ncountry = 'category'\n";
    fs::write(dir.path().join("d.toml"), text).unwrap();
    let mut description = Description::load(&dir.path().join("d.toml")).unwrap();
    description.source.files = vec![path.clone()];
    let dataset = prepare_described(&description, &mut |_| {}).unwrap();
    // a: the tags y and z, price 5; b: the tag x, price 1; c: nothing.
    let names: Vec<&str> = dataset.items.iter().map(|item| &*item.original).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let items = dataset.item_features.as_ref().unwrap();
    assert_eq!(items.schema.fields[0].values, ["x", "y", "z"]);
    assert_eq!(items.schema.fields[1].bounds, [5.0]);
    // Tags have the codes 1 to 5, prices those from 6 on.
    assert_eq!([0, 1, 2].map(|item| items.of(item)), [&[4, 5, 9][..], &[3, 8], &[1, 6]]);
    let users = dataset.user_features.as_ref().unwrap();
    assert_eq!(users.schema.fields[0].values, ["AT", "DE"]);
    assert_eq!([users.of(0), users.of(1)], [[4], [3]]);
    let others = |known: &Option<KnownCounts>| -> Vec<u64> {
        known.as_ref().unwrap().fields.iter().map(|field| field.others).collect()
    };
    assert_eq!(others(&dataset.manifest.items), [1, 1]);
    assert_eq!(others(&dataset.manifest.users), [1]);

    // JSON lines may lack what is told of items, and nothing else.
    let json = "{\"user\":\"u\",\"item\":\"a\",\"tags\":\"x|y\"}\n{\"user\":\"u\",\"item\":\"b\",\"price\":2}\n";
    description.source.files = vec![dir.path().join("log.jsonl")];
    description.users = None;
    fs::write(&description.source.files[0], json).unwrap();
    let dataset = prepare_described(&description, &mut |_| {}).unwrap();
    let items = dataset.item_features.unwrap();
    assert_eq!([items.of(0), items.of(1)], [&[3, 4, 5][..], &[1, 7]]);

    // What is no number is refused wherever it stands, and after whatever.
    description.source.files = vec![path.clone()];
    for lines in ["u,a,,,1\nu,b,,,dear\n", "u,a,,,1\nu,a,,,dear\n", "u,a,,,dear\nu,a,,,1\n"] {
        fs::write(&path, format!("user,item,tags,country,price\n{lines}")).unwrap();
        let said = format!("{:#}", prepare_described(&description, &mut |_| {}).unwrap_err());
        let line = if lines.starts_with("u,a,,,dear") { 2 } else { 3 };
        let wrong = format!("log.csv:{line}: the field `price`: \"dear\" is no finite number");
        assert!(said.ends_with(&wrong), "{said}");
    }
}

#[test]
fn what_a_log_says_in_other_words_is_no_contradiction() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.csv");
    // Of a the price 5 and the tags x and y, again and again; of b 0 and nothing.
    let same = "u,a,x|y,DE,5\nu,a,y|x,DE,5.0\nu,a,x|y|x,DE,5e0\nu,a,|y||x,DE,\n\
                u,b,,DE,0\nv,b,,DE,-0.0\n";
    // Another list, a country that is written otherwise, a price.
    let others = "v,a,x,DE,5\nv,b,,de,0.00\nv,b,,DE,0.01\nv,a,x|z,DE,+5\n";
    let text = "name = 'x'\n[source]\nuser = 'user'\nitem = 'item'\n[split]\nby = 'none'\n[rules]\n\
                min_item_count = 1\nmin_user_count = 1\n[items.fields]\ntags = 'categories'\n\
                price = 'number'\n[users.fields]\ncountry = 'category'\n";
    fs::write(dir.path().join("d.toml"), text).unwrap();
    let mut description = Description::load(&dir.path().join("d.toml")).unwrap();
    description.source.files = vec![path.clone()];
    for (lines, expected) in [(same.to_owned(), [0, 0, 0]), (format!("{same}{others}"), [1, 2, 1])]
    {
        fs::write(&path, format!("user,item,tags,country,price\n{lines}")).unwrap();
        let manifest = prepare_described(&description, &mut |_| {}).unwrap().manifest;
        let known = [manifest.items.unwrap(), manifest.users.unwrap()];
        let fields = known.iter().flat_map(|known| &known.fields);
        // By name: price, tags; country.
        assert_eq!(fields.map(|field| field.others).collect::<Vec<_>>(), expected, "{lines}");
    }
}

#[test]
fn users_without_a_record_are_missing_and_other_records_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    let log = put("log.csv", "person,item\nu,a\nv,a\n");
    let users_file = put("users.tsv", "person\tage\nw\t9\nv\t30\n");
    let text = "name = 'x'\n[source]\nuser = 'person'\nitem = 'item'\n[split]\nby = 'none'\n[rules]\n\
                min_item_count = 1\nmin_user_count = 1\n[users.fields]\nage = 'number'\n";
    let mut description = Description::load(&put("d.toml", text)).unwrap();
    description.source.files = vec![log];
    description.users.as_mut().unwrap().files = vec![users_file.clone()];
    let dataset = prepare_described(&description, &mut |_| {}).unwrap();
    let users = dataset.user_features.as_ref().unwrap();
    assert_eq!([users.of(0), users.of(1)], [[1], [3]]);
    let known = dataset.manifest.users.as_ref().unwrap();
    let place = format!("{}:2", users_file.display());
    let first = LeftOut { id: "w".into(), place };
    assert_eq!((known.left_out, &known.first_left_out), (1, &Some(first)));
    assert!(dataset.item_features.is_none());
}
