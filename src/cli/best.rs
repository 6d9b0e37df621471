//! `croloss best`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::sweep::{Chosen, one_dataset, runs_folder};
use super::table;
use crate::config::Metric;
use crate::report::{Case, Choice, Mean, Standing, choose, in_percent};
use crate::sweep::{Filter, PointResult, SweepFile, collect};

/// Print which case of a sweep is best in validation, what it has on test, and how to use it
///
/// Points that differ in their seed only are one case, with the mean of what they have. Cases that
/// the test users cannot tell from it stand beside it.
#[derive(clap::Args)]
pub struct Best {
    /// The sweep file, for example experiments/amazon-beauty.toml
    file: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    /// What to choose by: a metric at an N of evaluation.at, like ndcg@20 [default: train.monitor]
    #[arg(long, value_name = "METRIC")]
    by: Option<Metric>,
    /// Choose among points with this value only: --only loss.kernel=softplus, --only grid=table3
    #[arg(long, value_name = "KEY=VALUE")]
    only: Vec<Filter>,
    /// Print JSON, all digits, instead of a table
    #[arg(long)]
    json: bool,
}

impl Best {
    pub fn run(self) -> Result<()> {
        let sweep = SweepFile::load(&self.file, &self.chosen.sets)?;
        let points = Filter::apply(&self.only, sweep.points()?)?;
        one_dataset(&self.file, &points)?;
        let results = collect(&points, &runs_folder(self.chosen.runs, &sweep))?;
        let choice = choose(&results, self.by).with_context(|| self.file.display().to_string())?;
        match self.json {
            true => table::say_json(&as_json(&choice)),
            false => say(&choice, &results),
        }
    }
}

fn say(choice: &Choice, points: &[PointResult]) -> Result<()> {
    let (best, by) = (choice.chosen(), choice.by);
    table::say(choice.title() + "\n")?;
    let behind = choice.names(Standing::Behind).len();
    let near = choice.cases.iter().filter(|case| case.standing() != Standing::Behind);
    let head = [format!("{by}, %"), "validation".into(), "test".into(), "".into()];
    table::print(std::iter::once(head).chain(near.map(line)))?;
    if behind > 0 {
        table::say(format_args!("{behind} more: behind it on test, beyond noise"))?;
    }
    let mut reasons: Vec<&String> =
        choice.cases.iter().filter_map(|case| case.compared.as_ref()?.as_ref().err()).collect();
    reasons.dedup();
    for reason in reasons {
        table::say(format_args!("Not compared: {reason}"))?;
    }
    choice.unknown_noise().map_or(Ok(()), table::say)?;
    let open = points.iter().filter(|point| point.result().is_none()).count();
    if open > 0 {
        table::say(format_args!("{open} of {} points have no result", points.len()))?;
    }
    if choice.monitor != Some(choice.by) {
        let by = choice.monitor.map_or(String::new(), |monitor| format!("{monitor}, "));
        table::say(format_args!(
            "Each run holds the weights that were best by {by}its train.monitor"
        ))?;
    }
    table::say("\nIts runs, the best in validation first:")?;
    for run in &best.runs {
        table::say(format_args!("  {}", run.display()))?;
    }
    let [export, train] = commands(&best.runs[0]);
    table::say(format_args!("\nTo use it:         {export}"))?;
    table::say(format_args!("To train it again: {train}"))
}

fn line(case: &Case) -> [String; 4] {
    let standing = match case.standing() {
        Standing::Ahead => "ahead on test".into(),
        standing => standing.text().to_owned(),
    };
    let seeds = match (case.runs.len(), case.seeds) {
        (done, all) if done < all => format!(", {done} of {all} seeds"),
        _ => String::new(),
    };
    let test = case.test.map_or("–".into(), in_percent);
    [case.name.clone(), in_percent(case.validation), test, standing + &seeds]
}

/// How a run is used, and how it is made again.
fn commands(run: &Path) -> [String; 2] {
    let run = run.display();
    [
        format!("croloss export {run} --out export"),
        format!("croloss train {run}/config.toml --out runs/again"),
    ]
}

fn as_json(choice: &Choice) -> Value {
    json!({
        "by": choice.by,
        "monitor": choice.monitor,
        "cases": choice.cases.iter().map(case_json).collect::<Vec<_>>(),
    })
}

fn case_json(case: &Case) -> Value {
    let mean = |(mean, sd): Mean| json!({ "mean": mean, "sd": sd });
    let mut value = json!({
        "name": case.name,
        "standing": case.standing().text(),
        "validation": mean(case.validation),
        "test": case.test.map(mean),
        "seeds": case.seeds,
        "runs": case.runs,
    });
    match &case.compared {
        Some(Ok(paired)) => {
            let interval = paired.wide.unwrap_or(paired.interval);
            value["chosen_minus_this"] = json!({
                "estimate": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "with_seeds": paired.wide.is_some(),
            });
        }
        Some(Err(reason)) => value["not_compared"] = json!(reason),
        None => {}
    }
    value
}
