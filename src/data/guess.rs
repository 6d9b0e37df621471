//! Which columns of a log hold users, items and times, guessed from their names and first values.

use std::path::Path;

use anyhow::Result;

use super::parse_time;
use super::read::{Look, Sample, look};

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
    /// The place in [`Look::lists`] of the list of a user's events, where a line has all of them.
    pub events: Option<usize>,
    /// A place in [`Look::columns`].
    pub user: Option<usize>,
    /// Places in [`Guess::of_event`].
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
        let mut guess = Self { look, events: None, user: None, item: None, time: None };
        let Look { columns, lists, header, .. } = &guess.look;
        let has_item = |columns: &[Sample]| item(columns, &[]).is_some();
        let with_item = lists.iter().position(|(_, columns)| has_item(columns));
        // Where no column is an item's, items must be in a list.
        let events = with_item.or_else(|| (!lists.is_empty() && !has_item(columns)).then_some(0));
        let of_event = events.map_or(columns, |list| &lists[list].1);
        let of_line = |place: Option<usize>| place.filter(|_| events.is_none());
        let time = time(of_event);
        let (user, item) = match header {
            true => {
                let user = user(columns, &[of_line(time)]);
                (user, item(of_event, &[time, of_line(user)]))
            }
            // Without names: first who, then what, as in most logs.
            false => {
                let mut others = (0..columns.len()).filter(|place| Some(*place) != time);
                (others.next(), others.next())
            }
        };
        (guess.events, guess.user, guess.item, guess.time) = (events, user, item, time);
        Ok(guess)
    }

    /// The columns that tell of an event, where it stands alone or in a list.
    pub fn of_event(&self) -> &[Sample] {
        self.events.map_or(&self.look.columns, |list| &self.look.lists[list].1)
    }
}

fn time(columns: &[Sample]) -> Option<usize> {
    let named = |name: &str, values: &[String]| is_time(values).then(|| by_name(name, &TIMES))?;
    best(columns, &[], named)
        .or_else(|| best(columns, &[], |_, values| is_recent(values).then_some(1.0)))
}

fn user(columns: &[Sample], taken: &[Option<usize>]) -> Option<usize> {
    best(columns, taken, |name, _| by_name(name, &USERS))
}

fn item(columns: &[Sample], taken: &[Option<usize>]) -> Option<usize> {
    best(columns, taken, |name, _| by_name(name, &ITEMS))
}

/// The column that scores highest and is not yet taken; of equals the first.
fn best(
    columns: &[Sample],
    taken: &[Option<usize>],
    score: impl Fn(&str, &[String]) -> Option<f64>,
) -> Option<usize> {
    // No id and no time is a list or an object.
    let plain = |values: &[String]| values.iter().all(|value| !value.starts_with(['[', '{']));
    // Of a session's log the user may be unknown throughout.
    let missing =
        |value: &String| ["", "NA", "NaN", "null", "NULL", "None"].contains(&value.trim());
    let told = |values: &[String]| values.is_empty() || !values.iter().all(missing);
    let free = |(place, (_, values)): &(usize, &Sample)| {
        !taken.contains(&Some(*place)) && plain(values) && told(values)
    };
    let scored = columns.iter().enumerate().filter(free);
    let scored = scored
        .filter_map(|(place, (name, values))| Some((score(&name.to_lowercase(), values)?, place)));
    let (_, place) = scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))?;
    Some(place)
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

/// Whether all values are dates, or seconds or milliseconds since 1970, from 1995 to 2099.
fn is_recent(values: &[String]) -> bool {
    const YEARS: std::ops::Range<i64> = 788_918_400..4_102_444_800;
    let recent = |value: &String| {
        parse_time(value)
            .is_some_and(|time| YEARS.contains(&time) || YEARS.contains(&(time / 1_000)))
    };
    is_time(values) && values.iter().filter(|value| !value.trim().is_empty()).all(recent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess_of(name: &str, text: &str) -> Guess {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Guess::of(&path).unwrap()
    }

    /// The columns of users, items and times.
    fn roles(guess: &Guess) -> [Option<String>; 3] {
        let Guess { look, user, item, time, .. } = guess;
        let of_event = [item, time].map(|place| Some(guess.of_event()[(*place)?].0.clone()));
        let [item, time] = of_event;
        [user.map(|place| look.columns[place].0.clone()), item, time]
    }

    fn guess(text: &str) -> [Option<String>; 3] {
        roles(&guess_of("log.csv", text))
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
            // Of whom nothing is told the session stands for.
            ("session_id,user_id,item\n1,NA,5\n1,,5\n", named("session_id", "item", "")),
        ] {
            assert_eq!(guess(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_alone_makes_no_time() {
        assert_eq!(guess("user,item,time\nu,i,yesterday\n"), named("user", "item", ""));
    }

    #[test]
    fn columns_without_names_are_taken_by_their_places() {
        for (text, expected) in [
            ("196\t242\t3\t881250949\n186\t302\t3\t891717742\n", named("1", "2", "4")),
            ("881250949\tu1\ti1\n891717742\tu2\ti5\n", named("2", "3", "1")),
            ("u1\ti1\nu1\ti2\n", named("1", "2", "")),
        ] {
            let guess = guess_of("log.tsv", text);
            assert!(!guess.look.header);
            assert_eq!(roles(&guess), expected, "{text}");
        }
    }

    #[test]
    fn columns_in_lists_of_events_are_found() {
        for (text, list, expected) in [
            (
                r#"{"session": 1, "events": [{"aid": 2, "ts": 1659304800025, "type": "clicks"}]}"#,
                Some("events"),
                named("session", "aid", "ts"),
            ),
            // The list has the name of items, and the line a number of theirs.
            (
                r#"{"item_count": 1, "items": [{"sku": 2}], "user": "u", "time": 5}"#,
                Some("items"),
                named("user", "sku", ""),
            ),
            (r#"{"user": 1, "clicks": [{"x": 2}]}"#, Some("clicks"), named("user", "", "")),
            (
                r#"{"user": 1, "item": 2, "images": [{"url": "x"}]}"#,
                None,
                named("user", "item", ""),
            ),
            (r#"{"user": 1, "item": 2, "tags": [1, 2]}"#, None, named("user", "item", "")),
        ] {
            let guess = guess_of("log.jsonl", text);
            let name = guess.events.map(|place| guess.look.lists[place].0.as_str());
            assert_eq!((name, roles(&guess)), (list, expected), "{text}");
        }
    }
}
