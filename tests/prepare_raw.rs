//! `croloss prepare NAME --raw DIR`: owners' files found by name, expected beside found.

#[path = "common/logs.rs"]
mod logs;

use std::fs::{self, File};
use std::io::Write;

use croloss::data::Dataset;
use logs::{Place, TABLE, log};
use zip::ZipWriter;
use zip::write::FileOptions;

/// A zip archive of files, each with its content.
fn archive(place: &Place, name: &str, files: &[(&str, &str)]) {
    let mut zip = ZipWriter::new(File::create(place.path(name)).unwrap());
    for (member, content) in files {
        zip.start_file(*member, FileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

/// What stands beside a name in a table.
fn row<'a>(table: &'a str, name: &str) -> &'a str {
    let line = table.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("{name} in {table}"))[name.len()..].trim()
}

/// Ratings of six users, who all rate the same five films; `join` makes a line.
fn ratings(join: impl Fn(usize, usize, usize) -> String) -> String {
    let of = |user: usize| (0..5).map(move |step| (user, (user + step) % 5, step));
    (1..=6).flat_map(of).map(|(user, film, step)| join(user, film + 10, step)).collect()
}

#[test]
fn movielens_is_read_in_its_archives() {
    let place = Place::new();
    fs::create_dir(place.path("raw")).unwrap();
    let colons = |user, film, step| format!("{user}::{film}::5::{}\n", 978_300_760 + step);
    archive(
        &place,
        "raw/ml-1m.zip",
        &[("ml-1m/README", "not a table"), ("ml-1m/ratings.dat", &ratings(colons))],
    );
    let said = place.succeeds("prepare movielens-1m --raw raw");
    assert_eq!(row(&said, "expected: users"), "6,040; found: 6");
    assert_eq!(row(&said, "expected: items"), "3,416; found: 5");
    assert_eq!(row(&said, "expected: interactions"), "999,611; found: 30");
    assert!(said.contains("published: interactions (its owner, before the rules)"), "{said}");
    let dataset = Dataset::load_timed(&place.path("data/movielens-1m")).unwrap();
    let item = |id: &u32| dataset.items[*id as usize - 1].original.to_string();
    let first: Vec<String> = dataset.sequences.get(0).iter().map(item).collect();
    assert_eq!((dataset.users[0].as_str(), first.join(" ")), ("1", "11 12 13 14 10".into()));
    assert_eq!(dataset.times.as_ref().unwrap()[..2], [978_300_760, 978_300_761]);

    let commas = |user, film, step| format!("{user},{film},3.5,{step}\n");
    let table = format!("userId,movieId,rating,timestamp\n{}", ratings(commas));
    let films = "movieId,title,genres\n10,\"A, The (1995)\",Comedy|Drama\n11,B,Drama\n12,C,Drama\n";
    archive(
        &place,
        "raw/ml-20m.zip",
        &[("ml-20m/ratings.csv", &table), ("ml-20m/movies.csv", films)],
    );
    let said = place.succeeds("prepare movielens-20m --raw raw");
    assert!(row(&said, "expected: size of ml-20m.zip").starts_with("198,702,078 bytes; found: "));
    let dataset = Dataset::load_timed(&place.path("data/movielens-20m")).unwrap();
    assert_eq!(dataset.sequences.items.len(), 30);
    assert_eq!(dataset.manifest.items.as_ref().unwrap().fields[0].known, 3);
    // Unpacked it is the same.
    fs::create_dir(place.path("raw/ml-20m")).unwrap();
    place.put("raw/ml-20m/ratings.csv", table);
    place.put("raw/ml-20m/movies.csv", films);
    fs::remove_file(place.path("raw/ml-20m.zip")).unwrap();
    place.succeeds("prepare movielens-20m --raw raw --out again");
    let again = Dataset::load_timed(&place.path("again")).unwrap();
    assert_eq!(again.checksum(), dataset.checksum());
}

#[test]
fn taobao_is_read_packed_and_unpacked() {
    let place = Place::new();
    fs::create_dir(place.path("raw")).unwrap();
    let views =
        ratings(|user, item, step| format!("{user},{item},7,pv,{step}\n{user},1,7,buy,9\n"));
    archive(&place, "raw/UserBehavior.csv.zip", &[("UserBehavior.csv", &views)]);
    let said = place.succeeds("prepare taobao --raw raw --split none");
    assert_eq!(row(&said, "left out by keep: interactions"), "30");
    assert_eq!(row(&said, "expected: users"), "976,779; found: 6");
    place.put("raw/UserBehavior.csv", views);
    place.succeeds("prepare taobao --raw raw --split none --out plain");
    let [packed, plain] =
        ["data/taobao", "plain"].map(|name| Dataset::load_timed(&place.path(name)).unwrap());
    assert_eq!(packed.checksum(), plain.checksum());
    assert!(packed.manifest.files[0].path.ends_with("UserBehavior.csv.zip/UserBehavior.csv"));
    assert!(plain.manifest.files[0].path.ends_with("raw/UserBehavior.csv"));
    assert!(!plain.manifest.generated);
}

/// The description of that log, with more keys.
fn described(more: &str) -> String {
    format!(
        "name = 'shop'\n{more}\n[source]\nfiles = ['log.csv']\nuser = 'user'\nitem = 'item'\n\
         time = 'time'\n"
    )
}

#[test]
fn a_difference_is_told_and_is_an_error_only_where_the_description_says_so() {
    let place = Place::new();
    place.put("log.csv", log());
    let counts = "users = 20\nitems = 10\ninteractions = 121\n";
    let size = log().len();
    let raw = format!("[[raw]]\nname = 'log.csv'\nsize = {size}\nsha256 = '{}'\n", "0".repeat(64));
    place.put("told.toml", described(&format!("[expected]\n{counts}{raw}")));
    let said = place.succeeds("prepare told.toml");
    assert_eq!(row(&said, "expected: users"), "20, as found");
    assert_eq!(row(&said, "expected: items"), "10, as found");
    assert_eq!(row(&said, "expected: interactions"), "121; found: 120");
    assert_eq!(size, 1_185);
    assert_eq!(row(&said, "expected: size of log.csv"), "1,185 bytes, as found");
    assert!(row(&said, "expected: SHA-256 of log.csv").starts_with("000000000000…; found: "));

    place.put("must.toml", described(&format!("[expected]\nmust_match = true\n{counts}")));
    let said = place.fails("prepare must.toml --out must", 1);
    assert!(said.starts_with("120 interactions are left, where the description expects 121"));
    let counts = counts.replace("121", "120");
    place.put("must.toml", described(&format!("[expected]\nmust_match = true\n{counts}")));
    place.succeeds("prepare must.toml --out must");
}

#[test]
fn every_file_that_was_read_is_held_against_the_description() {
    let place = Place::new();
    place.put("log.csv", log());
    place.put("items.csv", "item,brand\ni0,A\ni1,B\ni2,A\n");
    place.put("users.csv", "user,country\nu0,A\nu1,B\n");
    let known = "[items]\nfiles = ['items.csv']\nfields = { brand = 'category' }\nmin_count = 1\n\
                 [users]\nfiles = ['users.csv']\nfields = { country = 'category' }\nmin_count = 1\n";
    let raw = |name: &str, md5: &str| format!("[[raw]]\nname = '{name}'\nmd5 = '{md5}'\n");
    // By md5sum; the last one is that of another file.
    let raw = raw("log.csv", "2d6911c02532c433d3a0ff56a564c587")
        + &raw("items.csv", "b7a1d5473f05f085394deedd7c6385ed")
        + &raw("users.csv", &"0".repeat(32));
    place.put("d.toml", described(&(known.to_owned() + &raw)));
    let said = place.succeeds("prepare d.toml");
    assert_eq!(row(&said, "expected: MD5 of log.csv"), "2d6911c02532…, as found");
    assert_eq!(row(&said, "expected: MD5 of items.csv"), "b7a1d5473f05…, as found");
    assert_eq!(row(&said, "expected: MD5 of users.csv"), "000000000000…; found: 0f42f2cb3cf9…");
}

#[test]
fn what_was_generated_in_an_owner_s_format_is_called_so() {
    let place = Place::new();
    fs::create_dir(place.path("raw")).unwrap();
    place.put("raw/generated-log.csv", log());
    place.put("d.toml", described("[expected]\nmust_match = true\nusers = 1"));
    place.succeeds("prepare d.toml --raw raw");
    let dataset = Dataset::load(&place.path("data/shop-generated")).unwrap();
    assert!(dataset.manifest.generated);
    assert_eq!(dataset.manifest.name, "shop-generated");
    place.succeeds(&format!("prepare --input raw/generated-log.csv {TABLE} --out plain"));
    assert!(Dataset::load(&place.path("plain")).unwrap().manifest.generated);
}

#[test]
fn names_and_folders_that_lead_nowhere_are_refused() {
    let place = Place::new();
    fs::create_dir(place.path("raw")).unwrap();
    let said = place.fails("prepare movielens-2m --raw raw", 2);
    assert!(said.contains("no description of that name: did you mean `movielens-"), "{said}");
    let said = place.fails("prepare taobao --raw raw", 2);
    assert!(said.starts_with("raw holds no UserBehavior.csv (nor UserBehavior.csv.gz, "), "{said}");
    assert!(said.ends_with("see croloss fetch taobao"), "{said}");
    assert_eq!(place.fails("prepare taobao --raw nowhere", 2), "there is no folder nowhere");
    assert_eq!(place.run("prepare taobao --raw raw --input x").status.code(), Some(2));
    // A description of the folder that the program runs in goes before the one that comes along.
    fs::create_dir(place.path("datasets")).unwrap();
    place.put("datasets/taobao.toml", described("").replace("shop", "taobao"));
    place.put("raw/log.csv", log());
    place.succeeds("prepare taobao --raw raw");
    assert_eq!(Dataset::load(&place.path("data/taobao")).unwrap().users.len(), 20);
    for (raw, expected) in [
        ("name = '../x'", "raw.name: \"../x\" is no file's name"),
        ("name = 'x'\nurl = 'ftp://x'", "raw.url: \"ftp://x\" begins with neither"),
        ("name = 'x'\nmd5 = 'A'", "raw.md5: \"A\" is not 32 digits"),
    ] {
        place.put("d.toml", described(&format!("[[raw]]\n{raw}\n")));
        place.put("log.csv", log());
        let said = place.fails("prepare d.toml", 2);
        assert!(said.starts_with(expected), "{said}");
    }
}
