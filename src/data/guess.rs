//! Which columns of a log hold users, items and times, guessed from their names and first values.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;

use super::parse_time;
use super::read::{Look, look};

/// Words of names, the surest first.
const USERS: [&str; 12] = [
    "user", "customer", "cust", "visitor", "session", "client", "reviewer", "member", "account",
    "buyer", "person", "uid",
];
const ITEMS: [&str; 16] = [
    "item",
    "product",
    "article",
    "aid",
    "sku",
    "stockcode",
    "asin",
    "movie",
    "track",
    "song",
    "book",
    "video",
    "news",
    "content",
    "page",
    "iid",
];
const TIMES: [&str; 7] = ["timestamp", "time", "ts", "date", "created", "when", "at"];

/// What a log looks like, and what its columns are taken for.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    pub look: Look,
    /// Places in [`Look::columns`].
    pub user: Option<usize>,
    pub item: Option<usize>,
    pub time: Option<usize>,
}

impl Guess {
    /// Guesses from the first rows of the log at `path`.
    ///
    /// # Errors
    /// A file that is missing, empty, cut off or of none of the formats.
    pub fn of(path: &Path) -> Result<Self> {
        let look = look(path)?;
        let mut taken: HashSet<usize> = HashSet::new();
        let mut best = |score: &dyn Fn(&str, &[String]) -> Option<f64>| {
            let all = look.columns.iter().enumerate();
            let scored = all.filter(|(place, _)| !taken.contains(place)).filter_map(
                |(place, (name, values))| Some((score(&name.to_lowercase(), values)?, place)),
            );
            // Of equals the first column.
            let (_, place) = scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))?;
            taken.insert(place);
            Some(place)
        };
        let time = best(&|name, values| is_time(values).then(|| by_name(name, &TIMES)).flatten())
            .or_else(|| best(&|_, values| is_recent(values).then_some(1.0)));
        let user = best(&|name, _| by_name(name, &USERS));
        let item = best(&|name, _| by_name(name, &ITEMS));
        Ok(Self { look, user, item, time })
    }
}

/// How sure a name is of a role: the earlier its word in the list, and the more of the name it is.
fn by_name(name: &str, words: &[&str]) -> Option<f64> {
    let parts: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let bare: String = parts.concat();
    let score = |(place, word): (usize, &&str)| {
        let whole = bare == *word || parts.contains(word) || bare == format!("{word}id");
        let inside = bare.starts_with(word) || bare.ends_with(word);
        let fit = if whole { 2.0 } else { 1.0 };
        (whole || (inside && word.len() > 3)).then(|| fit - place as f64 / words.len() as f64)
    };
    words.iter().enumerate().filter_map(score).max_by(f64::total_cmp)
}

fn is_time(values: &[String]) -> bool {
    let mut there = values.iter().filter(|value| !value.trim().is_empty()).peekable();
    there.peek().is_some() && there.all(|value| parse_time(value).is_some())
}

/// Whether all values are dates, or seconds or milliseconds since 1970, of this century.
fn is_recent(values: &[String]) -> bool {
    const CENTURY: std::ops::Range<i64> = 946_684_800..4_102_444_800;
    let recent = |value: &String| {
        parse_time(value)
            .is_some_and(|time| CENTURY.contains(&time) || CENTURY.contains(&(time / 1_000)))
    };
    is_time(values) && values.iter().filter(|value| !value.trim().is_empty()).all(recent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(text: &str) -> [Option<String>; 3] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        std::fs::write(&path, text).unwrap();
        let Guess { look, user, item, time } = Guess::of(&path).unwrap();
        [user, item, time].map(|place| Some(look.columns[place?].0.clone()))
    }

    fn named(user: &str, item: &str, time: &str) -> [Option<String>; 3] {
        [user, item, time].map(|name| Some(name).filter(|name| !name.is_empty()).map(String::from))
    }

    #[test]
    fn columns_of_published_logs_are_found() {
        for (text, expected) in [
            ("user,item,time\nu,i,3\n", named("user", "item", "time")),
            (
                "userId,movieId,rating,timestamp\n1,2,4.5,1112486027\n",
                named("userId", "movieId", "timestamp"),
            ),
            (
                "InvoiceNo,StockCode,Quantity,InvoiceDate,CustomerID\n5,8X,6,2010-12-01 08:26:00,17\n",
                named("CustomerID", "StockCode", "InvoiceDate"),
            ),
            (
                "reviewerID,asin,unixReviewTime\nA,B,1386028800\n",
                named("reviewerID", "asin", "unixReviewTime"),
            ),
            (
                "session_id,timestamp,item_id,category\n1,2014-04-07T10:51:09,2,0\n",
                named("session_id", "item_id", "timestamp"),
            ),
            // Not by its name, but a date all the same.
            ("visitor,day,sku\n1,2021-05-06,x\n", named("visitor", "sku", "day")),
            ("user,item,rating\n1,2,5\n", named("user", "item", "")),
            ("a,b,c\n1,2,5\n", named("", "", "")),
        ] {
            assert_eq!(guess(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_alone_makes_no_time() {
        assert_eq!(guess("user,item,time\nu,i,yesterday\n"), named("user", "item", ""));
    }
}
