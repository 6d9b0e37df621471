//! `croloss recommend`.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::progress::Bar;
use super::recommender::RecommenderOptions;
use super::table::{self, count};
use crate::data::{Dataset, Features, Schema};
use crate::export::Export;
use crate::retrieve::{Answers, Choice, Recommender, Request, Requests, UserTower};
use crate::train::TrainedRun;
use crate::{files, misuse};
use job::{Job, Output, UserHistory};

mod job;

/// Recommend items for histories
///
/// Histories come from the command line, from a file, or from the users of a dataset. A file is CSV,
/// JSON lines or Parquet with a column `history` (original item ids, oldest first; in CSV separated
/// by blanks, in JSON lines a list) and, if you like, a column `user`, which is written back. A line
/// of JSON may have lists `allow`, of the only items to recommend, and `deny`, of items not to, and,
/// where the model reads fields of users, `fields`: {"age": 31, "tags": ["a", "b"]}. Without it, and in
/// all other histories but those of a dataset's users, nothing is known of the user.
///
/// Items that are not known are passed over, with a warning. A history without any known item gets
/// nothing, unless --cold-start says what, and is reported; only if that is so for all of them, the
/// exit status is 1.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("histories").required(true))]
pub struct Recommend {
    /// A run folder, or an export
    from: PathBuf,
    /// A history: original item ids separated by blanks, oldest first (can be repeated)
    #[arg(long, value_name = "ITEMS", group = "histories")]
    history: Vec<String>,
    /// A file of histories: .csv, .jsonl or .parquet
    #[arg(long, value_name = "FILE", group = "histories")]
    input: Option<PathBuf>,
    /// The history of a user of the dataset, by original id (can be repeated)
    #[arg(long, value_name = "ID", group = "histories")]
    user: Vec<String>,
    /// The histories of all users of the dataset
    #[arg(long, group = "histories")]
    all_users: bool,
    /// The dataset of --user and --all-users [default: for a run, the one it was trained on]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many items for each history
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Leave out the items of the history
    #[arg(long)]
    exclude_seen: bool,
    /// Write to a file instead of showing a table: .csv, .jsonl or .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Print a line of JSON for each history, as a .jsonl has them, in place of a table
    #[arg(long, conflicts_with = "out")]
    json: bool,
    #[command(flatten)]
    options: RecommenderOptions,
}

impl Recommend {
    pub fn run(self) -> Result<()> {
        if let Some(out) = &self.out {
            Answers::format(out)?;
            files::refuse_existing(out, self.force)?;
        }
        let input = self.input.as_deref().map(Requests::open).transpose()?;
        let of_dataset = self.all_users || !self.user.is_empty();
        if Export::is_at(&self.from) {
            let (recommender, export) = self.options.of_export(&self.from)?;
            let dataset = if of_dataset { Some(self.dataset(&export)?) } else { None };
            return self.recommend(&recommender, input, dataset.as_ref());
        }
        if self.data.is_some() {
            misuse!("--data is for exports: a run names its dataset itself");
        }
        let run = TrainedRun::open(&self.from, &[])?;
        let (recommender, run) = self.options.of_run(run, &self.from)?;
        self.recommend(&recommender, input, Some(&run.dataset))
    }

    fn dataset(&self, export: &Export) -> Result<Dataset> {
        let Some(path) = &self.data else {
            misuse!("an export holds no users: name their dataset with --data");
        };
        let dataset = Dataset::load(path)?;
        if dataset.manifest.checksum != export.manifest.dataset_checksum {
            misuse!(
                "{} is not the dataset that {} was trained on: their checksums differ",
                path.display(),
                self.from.display()
            );
        }
        Ok(dataset)
    }

    fn recommend<T: UserTower>(
        &self,
        recommender: &Recommender<T>,
        input: Option<Requests>,
        dataset: Option<&Dataset>,
    ) -> Result<()> {
        let Some(out) = &self.out else {
            let output = if self.json { Output::JsonLines } else { Output::Table };
            self.run_job(recommender, input, dataset, output)?.report();
            return Ok(());
        };
        let format = Answers::format(out)?;
        files::make_folder_of(out)?;
        // What goes wrong in here need not be the output's fault.
        let mut job = Ok(None);
        let written = files::write_with(out, |staging| {
            job = Answers::create(staging, format, recommender.popular.is_some())
                .and_then(|answers| {
                    self.run_job(recommender, input, dataset, Output::File(answers, out.clone()))
                })
                .map(Some);
            if job.is_err() { bail!("nothing to write") } else { Ok(()) }
        });
        let job = job?;
        written?;
        let job = job.context("nothing was done")?;
        let users = count(job.answered);
        job.report();
        table::say(format_args!("Recommendations for {users} histories: {}", out.display()))
    }

    fn run_job<T: UserTower>(
        &self,
        recommender: &Recommender<T>,
        input: Option<Requests>,
        dataset: Option<&Dataset>,
        output: Output,
    ) -> Result<Job> {
        let mut job = Job::new(self.top as usize, self.exclude_seen, output);
        if let Some(input) = input {
            let mut bar = Bar::of_bytes(input.size, "recommending");
            let path = self.input.as_deref().unwrap_or(&self.from).display();
            input.read(&mut |rows, done| {
                let catalogue = &recommender.catalogue;
                let history = |row: Request| {
                    let place = format!("{path}:{}", row.line);
                    let fields = row.codes(recommender.user_fields.as_deref());
                    let fields = fields.with_context(|| place.clone())?;
                    Ok(UserHistory {
                        place,
                        fields,
                        known: catalogue.known(&row.history),
                        choice: Choice::of(catalogue, row.allow.as_deref(), row.deny.as_deref()),
                        user: row.user,
                    })
                };
                let histories: Result<Vec<UserHistory>> = rows.into_iter().map(history).collect();
                job.take(recommender, histories?)?;
                bar.set(done);
                Ok(())
            })?;
        } else if let (Some(dataset), true) = (dataset, self.history.is_empty()) {
            self.users(recommender, dataset, &mut job)?;
        } else {
            let histories = self.history.iter().zip(1..).map(|(history, number)| {
                let items: Vec<&str> = history.split_whitespace().collect();
                let known = recommender.catalogue.known(&items);
                UserHistory::plain("--history", &number.to_string(), known)
            });
            job.take(recommender, histories.collect())?;
        }
        job.finish()
    }

    fn users<T: UserTower>(
        &self,
        recommender: &Recommender<T>,
        dataset: &Dataset,
        job: &mut Job,
    ) -> Result<()> {
        let known = recommender.user_fields.as_deref();
        let known = known.map(|schema| fields_of(dataset, schema)).transpose()?;
        let history = |user: usize| {
            let fields = known.as_ref().map_or(&[][..], |known| known.of(user));
            UserHistory::of_user(&dataset.users[user], dataset.sequences.get(user), fields)
        };
        if self.all_users {
            let mut bar = Bar::new(dataset.users.len() as u64, "recommending");
            for start in (0..dataset.users.len()).step_by(Job::BLOCK) {
                let end = dataset.users.len().min(start + Job::BLOCK);
                job.take(recommender, (start..end).map(history).collect())?;
                bar.set(end as u64);
            }
            return Ok(());
        }
        let numbers: HashMap<&str, usize> =
            dataset.users.iter().map(String::as_str).zip(0..).collect();
        let given = |user: &String| match numbers.get(user.as_str()) {
            Some(&number) => history(number),
            None => UserHistory::of_stranger(user),
        };
        job.take(recommender, self.user.iter().map(given).collect())
    }
}

/// What a dataset knows of its users, of the fields of `schema`.
fn fields_of(dataset: &Dataset, schema: &Schema) -> Result<Features> {
    let own = dataset.user_features.as_ref().context("the dataset has no fields of users")?;
    let names: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
    let own = own.select(&names, "tower.user_features")?;
    ensure!(
        own.schema == *schema,
        "the dataset's fields of users have other values than the model's"
    );
    Ok(own)
}
