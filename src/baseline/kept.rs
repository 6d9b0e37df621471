//! What baselines came to, kept with the dataset: `baselines.json` in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Recipe;
use crate::config::{EvaluationConfig, Metric};
use crate::data::Split;
use crate::eval::{Groups, Lists, value_of};
use crate::files;
use crate::train::by_name;

/// The file's name within the dataset folder.
const FILE: &str = "baselines.json";

/// The version of the file that this program writes and reads. It rises when a baseline gives
/// other figures than before.
const FORMAT: u32 = 2;

/// What is to be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    pub split: Split,
    pub evaluation: EvaluationConfig,
    /// Under [`crate::config::Protocol::Positions`]: so many of the last items of a session are to
    /// be found; all but the first if not given.
    pub latest: Option<usize>,
}

/// What a baseline came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptResult {
    pub recipe: Recipe,
    pub asked: Asked,
    /// Users that were ranked for, and what they had to be found.
    pub users: usize,
    pub targets: usize,
    /// Targets besides that could not be ranked.
    #[serde(default)]
    pub unrankable: usize,
    /// Wall-clock seconds of fitting and of ranking.
    pub fit_seconds: f64,
    pub rank_seconds: f64,
    #[serde(with = "by_name")]
    pub metrics: Vec<(Metric, f64)>,
    /// Recall of the targets by their popularity and by what was known.
    #[serde(default)]
    pub groups: Groups,
    /// By N what the lists of N items hold; nothing where an earlier version measured.
    #[serde(default)]
    pub lists: BTreeMap<usize, Lists>,
}

impl KeptResult {
    /// Whether it is what `recipe` gives for `asked`, at more list lengths perhaps.
    fn answers(&self, recipe: &Recipe, asked: &Asked) -> bool {
        let (own, other) = (&self.asked.evaluation, &asked.evaluation);
        self.recipe == *recipe
            && self.asked.split == asked.split
            && self.asked.latest == asked.latest
            && (own.protocol, own.seen) == (other.protocol, other.seen)
            && other.at.iter().all(|at| own.at.contains(at))
    }

    /// The same at the list lengths that are asked for alone.
    fn narrowed(&self, asked: &Asked) -> KeptResult {
        let mut result = self.clone();
        let at = &asked.evaluation.at;
        result.metrics.retain(|(metric, _)| at.contains(&metric.at));
        result.lists.retain(|own, _| at.contains(own));
        let Groups { popularity, history } = &mut result.groups;
        for group in popularity.iter_mut().chain(history) {
            group.recall.retain(|own, _| at.contains(own));
        }
        result.asked = asked.clone();
        result
    }
}

/// The best of `results` by `metric`, and what it has.
pub fn best_of(results: &[KeptResult], metric: Metric) -> Option<(&KeptResult, f64)> {
    let value = |result: &KeptResult| value_of(&result.metrics, metric);
    let known = results.iter().filter_map(|result| Some((result, value(result)?)));
    known.max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// Results of baselines on one dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptResults {
    format: u32,
    /// Of the dataset.
    checksum: String,
    results: Vec<KeptResult>,
}

impl KeptResults {
    /// What is kept in the dataset folder at `folder`, whose checksum is `checksum`: nothing where
    /// the file is not there, cannot be read, or tells of other data.
    pub fn open(folder: &Path, checksum: &str) -> Self {
        let read = || serde_json::from_str(&fs::read_to_string(folder.join(FILE)).ok()?).ok();
        let there: Option<Self> = read();
        let ours = there.filter(|kept| kept.format == FORMAT && kept.checksum == checksum);
        ours.unwrap_or_else(|| KeptResults {
            format: FORMAT,
            checksum: checksum.to_owned(),
            results: vec![],
        })
    }

    /// What `recipe` gives for `asked`, if all of it is known.
    pub fn find(&self, recipe: &Recipe, asked: &Asked) -> Option<KeptResult> {
        let whole =
            |result: &&KeptResult| result.answers(recipe, asked) && !result.lists.is_empty();
        self.results.iter().find(whole).map(|result| result.narrowed(asked))
    }

    /// What is known of `asked`, each recipe once, in the order of [`Recipe::NAMES`].
    pub fn all(&self, asked: &Asked) -> Vec<KeptResult> {
        let mut answers: Vec<&KeptResult> =
            self.results.iter().filter(|result| result.answers(&result.recipe, asked)).collect();
        answers.sort_by_key(|result| result.lists.is_empty());
        // Two of one recipe can have what is asked for, each beside other list lengths.
        let mut known: Vec<KeptResult> = vec![];
        for result in answers {
            if known.iter().all(|other| other.recipe != result.recipe) {
                known.push(result.narrowed(asked));
            }
        }
        known.sort_by_key(|result| {
            Recipe::NAMES.iter().position(|name| *name == result.recipe.name())
        });
        known
    }

    /// Puts a result into the dataset folder at `folder`, whole or not at all.
    ///
    /// # Errors
    /// A folder that cannot be written to: nothing is lost but the time to compute it again.
    pub fn keep(folder: &Path, checksum: &str, result: &KeptResult) -> Result<()> {
        // Read anew: another process may have kept something meanwhile.
        let mut kept = Self::open(folder, checksum);
        kept.results.retain(|old| !result.answers(&old.recipe, &old.asked));
        kept.results.push(result.clone());
        let text = serde_json::to_string_pretty(&kept).context("cannot write JSON")? + "\n";
        files::write_file(&folder.join(FILE), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Protocol, Seen};
    use crate::eval::Group;

    fn asked(at: &[usize]) -> Asked {
        let evaluation =
            EvaluationConfig { protocol: Protocol::Holdout, at: at.to_vec(), seen: Seen::Keep };
        Asked { split: Split::Test, evaluation, latest: None }
    }

    fn result(at: &[usize], value: f64) -> KeptResult {
        let metric = |at: &usize| (format!("recall@{at}").parse().unwrap(), value);
        let recall = at.iter().map(|&at| (at, value)).collect();
        let group = Group { name: "up to 5 items".into(), targets: 7, recall };
        let lists = Lists { coverage: value, popularity: 3.5 };
        KeptResult {
            recipe: Recipe::Popularity,
            asked: asked(at),
            users: 3,
            targets: 7,
            unrankable: 0,
            fit_seconds: 0.5,
            rank_seconds: 0.25,
            metrics: at.iter().map(metric).collect(),
            groups: Groups { popularity: vec![], history: vec![group] },
            lists: at.iter().map(|&at| (at, lists.clone())).collect(),
        }
    }

    /// What an earlier version has kept.
    fn without_lists(result: KeptResult) -> KeptResult {
        KeptResult { groups: Groups::default(), lists: BTreeMap::new(), ..result }
    }

    #[test]
    fn what_is_kept_is_found_and_of_other_data_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        let kept = || KeptResults::open(folder.path(), "a");
        let find = |at: &[usize]| kept().find(&Recipe::Popularity, &asked(at));
        assert_eq!(find(&[20]), None);
        KeptResults::keep(folder.path(), "a", &result(&[20, 100], 0.125)).unwrap();
        assert_eq!(find(&[20, 100]), Some(result(&[20, 100], 0.125)));
        assert_eq!(find(&[100]), Some(result(&[100], 0.125)));
        assert_eq!(find(&[50]), None);
        assert_eq!(kept().find(&Recipe::Transitions, &asked(&[20])), None);
        let exclude = Asked {
            evaluation: EvaluationConfig { seen: Seen::Exclude, ..asked(&[20]).evaluation },
            ..asked(&[20])
        };
        let validation = Asked { split: Split::Validation, ..asked(&[20]) };
        let cut = Asked { latest: Some(5), ..asked(&[20]) };
        for other in [exclude, validation, cut] {
            assert_eq!(kept().find(&Recipe::Popularity, &other), None);
        }
        let ease = KeptResult {
            recipe: Recipe::Ease { lambda: 3.0, repeats: 0.0 },
            ..result(&[100], 0.5)
        };
        KeptResults::keep(folder.path(), "a", &ease).unwrap();
        let transitions = KeptResult { recipe: Recipe::Transitions, ..ease.clone() };
        KeptResults::keep(folder.path(), "a", &transitions).unwrap();
        assert_eq!(kept().all(&asked(&[100])), [result(&[100], 0.125), transitions, ease]);
        assert_eq!(kept().all(&asked(&[20])), [result(&[20], 0.125)]);
        let other = KeptResults::open(folder.path(), "b");
        assert_eq!(other.find(&Recipe::Popularity, &asked(&[20])), None);
        // What stands beside runs needs no lists, what is asked for by itself is measured anew.
        let old = without_lists(result(&[20, 100], 0.125));
        KeptResults::keep(folder.path(), "a", &old).unwrap();
        assert_eq!(find(&[20]), None);
        assert_eq!(kept().all(&asked(&[20])), [without_lists(result(&[20], 0.125))]);
    }

    #[test]
    fn a_newer_result_takes_the_place_of_what_it_holds_and_another_dataset_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let keep = |checksum: &str, result: &KeptResult| {
            KeptResults::keep(folder.path(), checksum, result).unwrap();
            KeptResults::open(folder.path(), checksum).results
        };
        keep("a", &result(&[20], 0.125));
        assert_eq!(keep("a", &result(&[50], 0.25)).len(), 2);
        assert_eq!(keep("a", &result(&[20, 50], 0.5)), [result(&[20, 50], 0.5)]);
        // Another list length beside one of these: what both have is told once.
        assert_eq!(keep("a", &result(&[20, 10], 0.5)).len(), 2);
        let both = KeptResults::open(folder.path(), "a");
        assert_eq!(both.all(&asked(&[20])), [result(&[20], 0.5)]);
        assert_eq!(keep("b", &result(&[20], 0.125)), [result(&[20], 0.125)]);
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(keep("b", &result(&[50], 0.25)), [result(&[50], 0.25)]);
        let nowhere = folder.path().join("none");
        assert!(KeptResults::keep(&nowhere, "a", &result(&[20], 0.5)).is_err());
    }
}
