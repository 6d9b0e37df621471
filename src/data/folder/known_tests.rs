//! What is known of items and users, and cold items, written, read, and damaged.

use std::fs;
use std::path::Path;

use super::tests::{sample, saved};
use super::*;
use crate::data::dataset::Cold;
use crate::data::features::tests::field;
use crate::data::features::{Features, Schema};
use crate::data::field_kind::FieldKind;

/// Items of three fields, users of one; the items 3 and 4 are cold.
fn known() -> Dataset {
    let mut dataset = sample(true);
    // Codes 1 to 3, 4 to 8 and 9 to 12.
    let fields = vec![
        field("brand\"\n", FieldKind::Category, &["Zoë"], &[]),
        field("tags", FieldKind::Categories, &["", "\u{1}", "x"], &[]),
        field("price", FieldKind::Number, &[], &[0.1 + 0.2]),
    ];
    dataset.item_features = Some(Features {
        schema: Schema { fields },
        starts: vec![0, 3, 8, 11, 14],
        codes: vec![1, 4, 9, 3, 5, 6, 8, 12, 2, 5, 11, 3, 7, 10],
    });
    let schema = Schema { fields: vec![field("age", FieldKind::Number, &[], &[])] };
    let (starts, codes) = ((0..=10).collect(), (0..10).map(|user| 1 + user % 3).collect());
    dataset.user_features = Some(Features { schema, starts, codes });
    dataset.sequences.items.iter_mut().for_each(|item| *item = 1 + *item % 2);
    dataset.cold = Some(Cold { items: vec![3, 4], targets: vec![(0, 4), (7, 3), (9, 4)] });
    dataset.manifest.split.cold_one_in = Some(2);
    dataset.manifest.checksum = dataset.checksum();
    dataset
}

#[test]
fn what_is_known_is_saved_and_loaded() {
    let whole = known();
    for parts in 0..8 {
        let mut dataset = whole.clone();
        if parts & 1 == 0 {
            dataset.item_features = None;
        }
        if parts & 2 == 0 {
            dataset.user_features = None;
        }
        if parts & 4 == 0 {
            (dataset.cold, dataset.manifest.split.cold_one_in) = (None, None);
        }
        dataset.manifest.checksum = dataset.checksum();
        let (_dir, out) = saved(&dataset);
        assert_eq!(Dataset::load_timed(&out).unwrap(), dataset, "{parts}");
        assert_eq!(Dataset::read_items(&Dataset::items_path(&out)).unwrap(), dataset.items);
        let files = fs::read_dir(&out).unwrap().count();
        let more = [3, 1, 2, 4].map(|bits| usize::from(parts & bits > 0));
        assert_eq!(files, 4 + more.iter().sum::<usize>(), "{parts}");
        dataset.save(&out, true).unwrap();
    }
}

#[test]
fn the_checksum_sees_what_is_known_and_is_the_old_one_without() {
    let whole = known();
    let sum = whole.checksum();
    let changes: [fn(&mut Dataset); 10] = [
        |data| data.item_features.as_mut().unwrap().codes.swap(2, 3),
        |data| data.item_features.as_mut().unwrap().starts[2] = 7,
        |data| data.item_features.as_mut().unwrap().schema.fields[0].values[0] += "x",
        |data| data.item_features.as_mut().unwrap().schema.fields[1].name += "x",
        |data| data.item_features.as_mut().unwrap().schema.fields[2].bounds[0] = 0.3,
        |data| data.user_features.as_mut().unwrap().schema.fields[0].kind = FieldKind::Category,
        |data| std::mem::swap(&mut data.item_features, &mut data.user_features),
        |data| data.cold.as_mut().unwrap().items[0] = 2,
        |data| data.cold.as_mut().unwrap().targets[0].1 = 3,
        |data| data.cold = None,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = whole.clone();
        change(&mut changed);
        assert_ne!(changed.checksum(), sum, "change {number}");
    }
    // As it was before there were features: worked out in another language.
    let mut plain = sample(false);
    plain.sequences = crate::data::Sequences { items: vec![1], offsets: vec![0, 1] };
    (plain.items, plain.users) = (vec![Item { original: "i".into(), count: 2 }], vec!["u".into()]);
    plain.split = vec![Split::Train];
    let expected = "53538839435056f58edb60037cc81cf4c28107773c0b041fb4cec10271549e4e";
    assert_eq!(plain.checksum(), expected);
}

/// The folder of [`known`] with a change to it, and what loading it says.
fn damaged(change: impl Fn(&Path)) -> String {
    let (_dir, out) = saved(&known());
    change(&out);
    let said = format!("{:#}", Dataset::load(&out).unwrap_err());
    said.replace(&format!("{}/", out.display()), "")
}

#[test]
fn what_is_missing_torn_or_altered_is_refused() {
    let files = ["item_features.parquet", "user_features.parquet", "cold.parquet"];
    for file in files {
        let said = damaged(|out| fs::remove_file(out.join(file)).unwrap());
        assert!(said.contains(file) && said.contains("cannot read"), "{said}");
        let said = damaged(|out| {
            let content = fs::read(out.join(file)).unwrap();
            fs::write(out.join(file), &content[..content.len() / 2]).unwrap();
        });
        assert!(said.contains(file) && said.contains("Parquet"), "{said}");
    }
    let said = damaged(|out| fs::remove_file(out.join("features.toml")).unwrap());
    assert!(said.contains("checksum") && said.contains("prepare it again"), "{said}");

    // One file is that of another dataset.
    let alter = |change: &dyn Fn(&mut Dataset), file: &str, expected: &str| {
        let mut other = known();
        change(&mut other);
        let (_dir, from) = saved(&other);
        let said = damaged(|out| _ = fs::copy(from.join(file), out.join(file)).unwrap());
        assert!(said.contains(expected) && said.contains("prepare it again"), "{said}");
    };
    let [items, users, cold] = files;
    alter(&|data| data.item_features.as_mut().unwrap().codes[0] = 3, items, "checksum");
    alter(&|data| data.user_features.as_mut().unwrap().codes.swap(0, 1), users, "checksum");
    alter(&|data| data.cold.as_mut().unwrap().targets[0].1 = 3, cold, "checksum");
    alter(&|data| data.cold.as_mut().unwrap().targets[0].1 = 2, cold, "item 2 is not cold");
    alter(&|data| data.cold.as_mut().unwrap().targets[2].0 = 10, cold, "user 10 cannot be asked");
    alter(&|data| data.cold.as_mut().unwrap().targets.swap(0, 1), cold, "user 0 cannot be asked");
    alter(&|data| data.cold.as_mut().unwrap().items[0] = 2, ITEMS, "item 2 is cold, and stands in");
    let said = damaged(|out| {
        let (_dir, from) = saved(&sample(true));
        fs::copy(from.join(ITEMS), out.join(ITEMS)).unwrap();
    });
    assert!(said.starts_with("items.parquet") && said.contains("cold"), "{said}");
}

/// Brand, tags and price of an item.
type Row = (Option<u32>, Option<&'static [u32]>, Option<u32>);

/// What is said of a folder whose items have these codes, if it is refused.
fn coded(rows: &[Row]) -> Option<String> {
    let (_dir, out) = saved(&known());
    write(&out.join("item_features.parquet"), rows.len(), |range| {
        let rows = &rows[range];
        let list = |list: &[u32]| Series::new("".into(), list);
        let tags: Vec<Option<Series>> = rows.iter().map(|row| row.1.map(list)).collect();
        let tags = match tags.is_empty() {
            true => Column::full_null("".into(), 0, &DataType::List(DataType::UInt32.into())),
            false => Column::new("".into(), tags),
        };
        let of = |name: &str, codes: Vec<Option<u32>>| Column::new(name.into(), codes);
        vec![
            column("item", (1..=rows.len() as u32).collect()),
            of("brand\"\n", rows.iter().map(|row| row.0).collect()),
            tags.with_name("tags".into()),
            of("price", rows.iter().map(|row| row.2).collect()),
        ]
    })
    .unwrap();
    let said = Dataset::load(&out).err().map(|error| format!("{error:#}"));
    said.map(|said| said.replace(&format!("{}/", out.display()), ""))
}

#[test]
fn codes_that_no_field_has_are_refused() {
    let good: [Row; 4] = [
        (Some(1), Some(&[4]), Some(9)),
        (Some(3), Some(&[5, 6, 8]), Some(12)),
        (Some(2), Some(&[5]), Some(11)),
        (Some(3), Some(&[7]), Some(10)),
    ];
    assert_eq!(coded(&good), None);
    let (brand, tags, price) = good[1];
    let wrong: [Row; 12] = [
        (Some(0), tags, price),
        (Some(4), tags, price),
        (None, tags, price),
        (brand, None, price),
        (brand, Some(&[]), price),
        (brand, Some(&[3]), price),
        (brand, Some(&[6, 9]), price),
        (brand, Some(&[6, 5]), price),
        (brand, Some(&[6, 6]), price),
        // Missing, and something else.
        (brand, Some(&[4, 6]), price),
        (brand, tags, Some(8)),
        (brand, tags, Some(13)),
    ];
    for row in wrong {
        let mut rows = good;
        rows[1] = row;
        let said = coded(&rows).unwrap();
        let expected =
            "item_features.parquet is not as it was prepared (row 2 has wrong codes): pre";
        assert!(said.starts_with(expected), "{row:?}: {said}");
    }
    let mut other = good;
    other[1].1 = Some(&[5, 6]);
    assert!(coded(&other).unwrap().contains("checksum"));
    let said = coded(&good[..3]).unwrap();
    assert!(said.contains("3 rows of 4") && said.contains("prepare it again"), "{said}");
}

#[test]
fn fields_that_were_changed_by_hand_are_refused() {
    let edited = |from: &str, to: &str| {
        damaged(|out| {
            let path = out.join("features.toml");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(&path, text.replace(from, to)).unwrap();
        })
    };
    for (from, to, expected) in [
        ("\"Zoë\"", "\"Zoe\"", "checksum"),
        ("\"category\"", "\"categry\"", "features.toml: unknown variant `categry`"),
        ("name = \"tags\"", "name = \"price\"", "features.toml: the field `price` is there twice"),
        ("\"x\"]", "\"\"]", "features.toml: the values of the field `tags` are not"),
        ("0.30000000000000004", "nan", "features.toml: the values of the field `price` are not"),
        ("[[items.fields]]", "[[item.fields]]", "features.toml: unknown field `item`"),
    ] {
        let said = edited(from, to);
        assert!(said.contains(expected) && said.contains("prepare it again"), "{to}: {said}");
    }
}
