//! Reads a configuration file and applies `--set` to it.

use std::path::Path;

use anyhow::{Context, Result};
use toml::Table;

use crate::reading;

use super::{Config, Layer, LogSize, Settings, explain};

/// Reads the configuration at `path` with `sets` (`KEY=VALUE`, a dotted key and a TOML value or
/// plain text) put in place of what stands there, fits it to the log of [`Settings::fitted`] and
/// checks it.
///
/// # Errors
/// Names the file and line, or the `--set`, that is wrong; those of `size_of`.
pub fn load(
    path: &Path,
    sets: &[String],
    size_of: impl FnOnce(&Path) -> Result<LogSize>,
) -> Result<Config> {
    let whose = || path.display().to_string();
    read(path, sets)?.fitted(size_of).and_then(Settings::checked).with_context(whose)
}

/// [`load`] for a run whose training is over: what is measured now need not be what was monitored
/// then.
///
/// # Errors
/// Those of [`load`], but for a `train.monitor` that is not measured.
pub fn load_trained(path: &Path, sets: &[String]) -> Result<Config> {
    read(path, sets)?.checked_without_monitor().with_context(|| path.display().to_string())
}

/// The settings at `path` with `sets` laid over them.
fn read(path: &Path, sets: &[String]) -> Result<Settings> {
    let text = reading::text(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    let mut table: Table = text.parse().map_err(|e| explain(path, &text, &e))?;
    let set = Layer::of_sets(sets)?;
    set.lay_over(&mut table)?;
    from_table(table, &set.to_string()).map_err(|merged| match toml::from_str::<Settings>(&text) {
        // A mistake of the file itself is told with its line.
        Err(own) if own.span().is_some_and(|span| !span.is_empty()) || sets.is_empty() => {
            explain(path, &text, &own)
        }
        _ => merged,
    })
}

/// The settings of a table that has no lines any more; `place` says in errors where its
/// values come from.
///
/// # Errors
/// [`crate::error::Misuse`] that names the key.
pub fn from_table(table: Table, place: &str) -> Result<Settings> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let key = error.path().to_string();
        let place = match key.as_str() {
            "." => place.to_owned(),
            key => format!("{place}: {key}"),
        };
        explain(Path::new(&place), "", error.inner())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Length, Reject, ValidateEvery};
    use std::fs;

    fn load_text(text: &str, sets: &[&str]) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        fs::write(&path, text).unwrap();
        let sets: Vec<String> = sets.iter().map(|s| s.to_string()).collect();
        load(&path, &sets, |_| unreachable!("nothing is left to the log"))
    }

    #[test]
    fn sets_take_toml_values_and_plain_words() {
        let config = load_text(
            "[data]\npath = \"d\"\n",
            &["loss.alpha=1.5", "loss.kernel=hinge", "evaluation.at=[5, 100]", "seed=9"],
        )
        .unwrap();
        assert_eq!(config.loss.alpha(), Some(1.5));
        assert_eq!(config.evaluation.at, [5, 100]);
        assert_eq!(config.seed, 9);
    }

    #[test]
    fn an_unknown_key_is_answered_with_its_line_and_the_nearest_known_one() {
        let error = load_text("[data]\npath = \"d\"\n[loss]\nalhpa = 1.0\n", &[]).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("alhpa") && error.contains("`alpha`"), "{error}");
        assert!(error.contains("c.toml:4") || error.contains("line 4"), "{error}");
    }

    #[test]
    fn another_loss_starts_without_the_keys_of_the_old_one() {
        let text = "[data]\npath = \"d\"\n[loss]\nkind = \"cro\"\nalpha = 1.4\n";
        let config = load_text(text, &["loss.kind=bpr"]).unwrap();
        assert_eq!(config.loss.alpha(), None);
        assert_eq!(load_text(text, &["loss.kind=cro"]).unwrap().loss.alpha(), Some(1.4));
        assert!(load_text(text, &["loss.kind=bpr", "loss.alpha=1.0"]).is_err());
    }

    #[test]
    fn tables_are_laid_over_value_by_value() {
        let text = "[data]\npath = \"d\"\n[train]\nsteps = 7\npatience = 3\n";
        let config = load_text(text, &["train={steps=9}"]).unwrap();
        assert_eq!((config.train.length, config.train.patience), (Length::Steps(9), 3));
        let later = load_text(text, &["train={steps=9}", "train.steps=8"]).unwrap();
        assert_eq!(later.train.length, Length::Steps(8));
    }

    #[test]
    fn epochs_and_steps_take_each_other_s_place() {
        let text = "[data]\npath = \"d\"\n[sampling]\nsamples = \"positions\"\nnegatives = [{ from = \"uniform\", count = 9, per = \"batch\" }]\n[train]\nepochs = 7\n";
        let length = |text: &str, set: &str| load_text(text, &[set]).unwrap().train.length;
        assert_eq!(length(text, "train.steps=20"), Length::Steps(20));
        assert_eq!(length(text, "train.patience=2"), Length::Epochs(7));
        assert_eq!(length(&text.replace("epochs", "steps"), "train.epochs=2"), Length::Epochs(2));
        let by_steps = text.replace("epochs = 7", "steps = 90\nvalidate_every = 30");
        let every = |sets: &[&str]| load_text(&by_steps, sets).unwrap().train.validate_every;
        assert_eq!(every(&["train.steps=60"]), ValidateEvery::Steps(30));
        assert_eq!(every(&["train.epochs=2"]), ValidateEvery::Epoch);
        assert_eq!(every(&["train.epochs=2", "train.validate_every=5"]), ValidateEvery::Steps(5));
        let both = load_text(text, &["train.epochs=2", "train.steps=20"]).unwrap_err();
        assert!(format!("{both:#}").contains("`train.epochs` and `train.steps`"), "{both:#}");
    }

    #[test]
    fn what_says_the_same_under_two_names_takes_the_other_s_place() {
        let text = "[data]\npath = \"d\"\n[sampling]\nbatch = 8\nnegatives_per_positive = 3\naccidental_hits = \"keep\"\n";
        let sampling = |text: &str, sets: &[&str]| load_text(text, sets).unwrap().sampling;
        let listed = ["sampling.negatives=[{ from = \"uniform\", count = 5, per = \"event\" }]"];
        assert_eq!(sampling(text, &[]).candidates(), 24);
        assert_eq!(sampling(text, &listed).candidates(), 5);
        assert_eq!(sampling(text, &["sampling.reject=session"]).reject, Reject::Session);
        // What a run folder holds has the names of today.
        let saved = toml::to_string(&load_text(text, &[]).unwrap()).unwrap();
        assert_eq!(sampling(&saved, &["sampling.negatives_per_positive=2"]).candidates(), 16);
        assert_eq!(sampling(&saved, &["sampling.accidental_hits=mask"]).reject, Reject::Label);
        let both = ["sampling.reject=none", "sampling.accidental_hits=keep"];
        let both = format!("{:#}", load_text(text, &both).unwrap_err());
        assert!(both.contains("`sampling.accidental_hits`") && both.contains("both set"), "{both}");
    }

    #[test]
    fn a_wrong_set_is_named() {
        let deep = ["deep"; 50_000].join(".") + "=1";
        for (set, word) in [
            (deep.as_str(), "deep.deep"),
            ("loss.alhpa=1", "alhpa"),
            ("alpha", "KEY=VALUE"),
            ("seed.x=1", "seed"),
            ("seed=1\ntower.dim=4", "one KEY=VALUE"),
        ] {
            let error = load_text("seed = 1\n[data]\npath = \"d\"\n", &[set]).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains("--set") && error.contains(word), "{error}");
        }
        let error = load_text("[data]\npath = \"d\"\n", &["tower.dim=-1"]).unwrap_err();
        assert!(format!("{error:#}").contains("tower.dim = -1: must be from 1"), "{error:#}");
    }
}
