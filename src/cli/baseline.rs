//! `croloss baseline`.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::choice::one_of;
use super::device::threads;
use super::progress::Bar;
use super::results::{self, MetricRow};
use super::table;
use crate::baseline::{Asked, KeptResult, KeptResults, Recipe, Stage, run};
use crate::config::{EvaluationConfig, Protocol, Seen};
use crate::data::{Dataset, Manifest, Split};
use crate::{device, misuse};

/// Measure what a model has to beat: popularity, transitions, item-knn, ease and als
///
/// Each is fitted on the users who train and ranks the catalogue as a model is made to: the same
/// users, targets, ties and metrics. Results are kept in the dataset folder (baselines.json), so
/// that the next call has them at once.
#[derive(clap::Args)]
pub struct Baseline {
    /// A dataset folder that `croloss prepare` made
    data: PathBuf,
    /// Only these, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = one_of(&Recipe::NAMES, |name| name, |_| ""))]
    only: Vec<&'static str>,
    /// The users that are ranked for
    #[arg(long, value_parser = one_of(&Split::ALL, Split::name, |_| ""), default_value = "test")]
    split: Split,
    /// What of a sequence is found from what, as evaluation.protocol
    #[arg(long, value_parser = one_of(&Protocol::ALL, Protocol::name, |_| ""), default_value = "holdout")]
    protocol: Protocol,
    /// Items of the user's own history, as evaluation.seen [default: as evaluation.protocol has it]
    #[arg(long, value_parser = one_of(&Seen::ALL, Seen::name, |_| ""))]
    seen: Option<Seen>,
    /// The list lengths N of every metric, separated by commas [default: those of evaluation.at]
    #[arg(long, value_delimiter = ',')]
    at: Vec<usize>,
    /// Of positions: only the last N items of a session are to be found, as with tower.history = N
    /// [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    history: Option<u32>,
    /// Put a value in place of a hyperparameter: --with ease.lambda=100 (can be repeated)
    #[arg(long = "with", value_name = "NAME.KEY=VALUE")]
    with: Vec<String>,
    /// CPU threads; 0: one for every core
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = threads())]
    threads: u32,
    /// Print JSON, all digits, instead of a table
    #[arg(long)]
    json: bool,
}

impl Baseline {
    pub fn run(self) -> Result<()> {
        let asked = self.asked()?;
        let recipes = self.recipes()?;
        let manifest = Manifest::load(&self.data)?;
        let kept = KeptResults::open(&self.data, &manifest.checksum);
        let mut dataset = None;
        let mut rows = vec![];
        for recipe in recipes {
            if let Err(error) = recipe.check(manifest.counts.items as usize) {
                if !self.only.is_empty() {
                    return Err(error);
                }
                table::warn(format_args!("left out: {error:#}"));
                continue;
            }
            if let Some(result) = kept.find(&recipe, &asked) {
                rows.push((result, true));
                continue;
            }
            let dataset = match &mut dataset {
                Some(dataset) => dataset,
                empty => {
                    device::use_threads(self.threads);
                    empty.insert(Dataset::load(&self.data)?)
                }
            };
            let result = computed(dataset, &recipe, &asked)?;
            if let Err(error) = KeptResults::keep(&self.data, &manifest.checksum, &result) {
                table::warn(format_args!("{} is not kept: {error:#}", recipe.name()));
            }
            rows.push((result, false));
        }
        match self.json {
            true => say_json(&rows),
            false => self.say(&rows),
        }
    }

    fn asked(&self) -> Result<Asked> {
        if self.history.is_some() && self.protocol != Protocol::Positions {
            misuse!("--history is for --protocol positions: otherwise all of a history is read");
        }
        let usual = EvaluationConfig::of(self.protocol);
        let at = if self.at.is_empty() { usual.at } else { self.at.clone() };
        let evaluation =
            EvaluationConfig { protocol: self.protocol, at, seen: self.seen.unwrap_or(usual.seen) };
        let latest = self.history.map(|history| history as usize);
        Ok(Asked { split: self.split, evaluation: evaluation.checked()?, latest })
    }

    /// What is wanted, in the order of tables.
    fn recipes(&self) -> Result<Vec<Recipe>> {
        let mut recipes = Recipe::defaults(self.protocol).to_vec();
        recipes.retain(|recipe| self.only.is_empty() || self.only.contains(&recipe.name()));
        for with in &self.with {
            let (name, assignment) = with.split_once('.').unwrap_or((with, ""));
            match recipes.iter_mut().find(|recipe| recipe.name() == name) {
                Some(recipe) => recipe.set(assignment)?,
                None => {
                    misuse!("--with {with}: {name} is not among the baselines that are asked for")
                }
            }
        }
        Ok(recipes)
    }

    fn say(&self, rows: &[(KeptResult, bool)]) -> Result<()> {
        let Some((first, _)) = rows.first() else { return Ok(()) };
        let parameters = |recipe: &Recipe| {
            let all = recipe.parameters().into_iter().map(|(key, value)| format!("{key} {value}"));
            all.collect::<Vec<_>>().join(", ")
        };
        let seconds = |seconds: f64| format!("{seconds:.1}");
        let line = |(result, kept): &(KeptResult, bool)| {
            [
                result.recipe.name().to_owned(),
                seconds(result.fit_seconds),
                seconds(result.rank_seconds),
                if *kept { "kept" } else { "" }.to_owned(),
                parameters(&result.recipe),
            ]
        };
        let Asked { evaluation, latest, .. } = &first.asked;
        let counts = [first.users, first.targets, first.unrankable];
        results::say_measured(self.split, counts, &evaluation.in_words(*latest))?;
        let metrics = |(result, _): &(KeptResult, bool)| MetricRow {
            name: result.recipe.name().into(),
            metrics: result.metrics.clone(),
            cold: None,
        };
        results::print(&rows.iter().map(metrics).collect::<Vec<_>>())?;
        // Tables of groups are long: of one alone, not of all below each other.
        if let [(only, _)] = rows {
            results::print_groups(&only.groups)?;
        }
        let lists = rows.iter().map(|(result, _)| (result.recipe.name().to_owned(), &result.lists));
        results::print_lists(&lists.collect::<Vec<_>>())?;
        let head = ["seconds", "fit", "rank", "", ""].map(str::to_owned);
        table::print(std::iter::once(head).chain(rows.iter().map(line)))
    }
}

/// Fits and ranks under a bar.
fn computed(dataset: &Dataset, recipe: &Recipe, asked: &Asked) -> Result<KeptResult> {
    let mut bar = None;
    let mut ranking = false;
    run(dataset, recipe, asked, &mut |stage| {
        let (done, total, of_ranking) = match stage {
            Stage::Fitting { done, parts } => (done, parts, false),
            Stage::Ranking { done, users } => (done, users, true),
        };
        if ranking != of_ranking {
            (bar, ranking) = (None, of_ranking);
        }
        let what = match of_ranking {
            false => format!("fitting {}", recipe.name()),
            true => format!("{}: ranking for {} users", recipe.name(), asked.split.name()),
        };
        bar.get_or_insert_with(|| Bar::new(total, what)).set(done);
    })
}

fn say_json(rows: &[(KeptResult, bool)]) -> Result<()> {
    let row = |(result, kept): &(KeptResult, bool)| {
        let mut row = serde_json::to_value(result)?;
        row["kept"] = json!(kept);
        Ok(row)
    };
    let rows = rows.iter().map(row).collect::<Result<Vec<_>>>()?;
    table::say_json(&rows)
}
