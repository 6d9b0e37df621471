//! The work of `recommend`: blocks of histories in, a table or a file out, failures counted.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cli::table::{self, count};
use crate::retrieve::{Answers, Ask, Choice, Known, POPULARITY, Recommender, UserTower, json_line};

/// Failures that are told one by one.
const TOLD: usize = 20;

/// A history to recommend for.
pub struct UserHistory {
    /// Where it stands.
    pub place: String,
    pub user: String,
    pub known: Known,
    pub choice: Choice,
    /// Codes of the user's fields; none: nothing is known of them.
    pub fields: Vec<u32>,
}

impl UserHistory {
    /// Of someone of whom nothing else is known.
    pub fn plain(place: &str, user: &str, known: Known) -> Self {
        let (choice, fields) = (Choice::default(), vec![]);
        Self { place: place.into(), user: user.into(), known, choice, fields }
    }

    /// A user of a dataset, with the codes of the user's fields.
    pub fn of_user(user: &str, items: &[u32], fields: &[u32]) -> Self {
        let known = Known { ids: items.to_vec(), unknown: 0 };
        Self { fields: fields.to_vec(), ..Self::plain("--user", user, known) }
    }

    /// Someone whom the dataset does not have.
    pub fn of_stranger(user: &str) -> Self {
        Self::plain("not in the dataset", user, Known::default())
    }
}

/// Where recommendations go.
pub enum Output {
    Table,
    JsonLines,
    File(Answers, PathBuf),
}

/// Histories that are being worked off.
pub struct Job {
    top: usize,
    exclude_seen: bool,
    output: Option<Output>,
    /// Histories that were answered.
    pub answered: u64,
    popular: u64,
    failed: u64,
    failures: Vec<String>,
    unknown: u64,
}

impl Job {
    /// Histories to be taken at a time.
    pub const BLOCK: usize = 4096;

    /// Nothing done yet.
    pub fn new(top: usize, exclude_seen: bool, output: Output) -> Self {
        let (output, failures) = (Some(output), vec![]);
        let (answered, popular, failed, unknown) = (0, 0, 0, 0);
        Self { top, exclude_seen, output, answered, popular, failed, failures, unknown }
    }

    /// Recommends for a block of histories.
    ///
    /// # Errors
    /// Those of the search and of the output.
    pub fn take<T: UserTower>(
        &mut self,
        recommender: &Recommender<T>,
        block: Vec<UserHistory>,
    ) -> Result<()> {
        let cold_start = recommender.popular.is_some();
        let (good, bad): (Vec<UserHistory>, Vec<UserHistory>) =
            block.into_iter().partition(|user| cold_start || !user.known.ids.is_empty());
        self.unknown += good.iter().map(|history| history.known.unknown as u64).sum::<u64>();
        self.failed += bad.len() as u64;
        for history in bad.into_iter().take(TOLD - self.failures.len()) {
            let why = history.known.why_nothing();
            self.failures.push(format!("{}: user {}: {why}", history.place, history.user));
        }
        let (top, exclude_seen) = (self.top, self.exclude_seen);
        let ask = |user| {
            let UserHistory { known, choice, fields, .. }: &UserHistory = user;
            Ask { history: &known.ids, fields, top, exclude_seen, choice }
        };
        let asks: Vec<Ask> = good.iter().map(ask).collect();
        let found = recommender.recommend(&asks)?;
        for (history, hits) in good.iter().zip(found) {
            let fallback = history.known.ids.is_empty().then_some(POPULARITY);
            self.popular += u64::from(fallback.is_some());
            let items = hits.iter().map(|hit| (recommender.catalogue.original(hit.row), hit.score));
            match &mut self.output {
                Some(Output::File(answers, path)) => {
                    answers
                        .write(&history.user, fallback, items)
                        .with_context(|| unwritten(path))?;
                }
                Some(Output::JsonLines) => {
                    table::say(json_line(&history.user, fallback, items)?)?;
                }
                _ => show(&history.user, fallback, items)?,
            }
            self.answered += 1;
        }
        Ok(())
    }

    /// Ends the output.
    ///
    /// # Errors
    /// When all histories have failed; a disk that fails.
    pub fn finish(mut self) -> Result<Self> {
        if self.answered == 0 && self.failed > 0 {
            self.report();
            bail!("no history has a known item: nothing is recommended");
        }
        if let Some(Output::File(answers, path)) = self.output.take() {
            answers.finish().with_context(|| unwritten(&path))?;
        }
        Ok(self)
    }

    /// Tells on standard error what was passed over.
    pub fn report(&self) {
        self.failures.iter().for_each(table::warn);
        if self.failed > 0 {
            let failed = count(self.failed);
            table::warn(format_args!("warning: nothing is recommended for {failed} histories"));
        }
        if self.popular > 0 {
            let popular = count(self.popular);
            table::warn(format_args!(
                "warning: {popular} histories have no known item: they are answered by popularity"
            ));
        }
        if self.unknown > 0 {
            let unknown = count(self.unknown);
            table::warn(format_args!("warning: {unknown} items of histories are not known"));
        }
    }
}

fn show<'a>(
    user: &str,
    fallback: Option<&str>,
    items: impl Iterator<Item = (&'a str, f32)>,
) -> Result<()> {
    // The column is there where it says something.
    let more = |row: [&str; 4], cell: Option<&str>| -> Vec<String> {
        row.into_iter().chain(cell).map(String::from).collect()
    };
    let head = more(["user", "rank", "item", "score"], fallback.map(|_| "fallback"));
    let row = |(rank, (item, score)): (usize, (&str, f32))| {
        more([user, &rank.to_string(), item, &format!("{score:.4}")], fallback)
    };
    table::print(std::iter::once(head).chain((1..).zip(items).map(row)))?;
    table::say("")
}

fn unwritten(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
