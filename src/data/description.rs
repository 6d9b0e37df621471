//! The description of a data set: where its log lies, how it is read, filtered and split.

use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

use super::field_rule::RecordSource;
use super::known;
use super::published::{ExpectedCounts, PublishedCounts};
use super::raw::RawFile;
use super::read::Source;
use super::rules::Rules;
use super::split_rule::{SplitBy, SplitRule};
use crate::{config, misuse, reading};

/// `datasets/NAME.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub about: String,
    /// Where its owner offers it.
    #[serde(default)]
    pub homepage: String,
    #[serde(default)]
    pub licence: String,
    /// What to do there, step by step, to have the files.
    #[serde(default)]
    pub steps: Vec<String>,
    /// Whether it was made by `croloss generate`: every report of it says so.
    #[serde(default)]
    pub generated: bool,
    /// The files as their owner hands them out.
    #[serde(default)]
    pub raw: Vec<RawFile>,
    /// What papers print of it.
    #[serde(default)]
    pub published: Vec<PublishedCounts>,
    /// What the rules are to leave of it.
    #[serde(default)]
    pub expected: ExpectedCounts,
    #[serde(default)]
    pub source: Source,
    #[serde(default)]
    pub rules: Rules,
    #[serde(default)]
    pub split: SplitRule,
    /// What is known of items.
    #[serde(default)]
    pub items: Option<RecordSource>,
    /// What is known of users.
    #[serde(default)]
    pub users: Option<RecordSource>,
}

impl Description {
    /// The description in a file, or else the one of that name: `datasets/NAME.toml` in the folder
    /// that the program runs in, or else one that comes along with the program.
    ///
    /// # Errors
    /// Those of [`Description::load`]; a name that is none.
    pub fn find(name: &Path) -> Result<Description> {
        let plain = name.to_str().filter(|name| !name.contains('/') && !name.ends_with(".toml"));
        let Some(plain) = plain.filter(|_| !name.is_file()) else {
            return Description::load(name);
        };
        let file = Path::new("datasets").join(format!("{plain}.toml"));
        if file.is_file() {
            return Description::load(&file);
        }
        match known::text(plain) {
            Some(text) => {
                toml::from_str(text).map_err(|error| config::explain(&file, text, &error))
            }
            None => misuse!(
                "there is no file {plain}, and no description of that name{} (there are: {})",
                known::nearest(plain),
                known::known_descriptions().collect::<Vec<_>>().join(", ")
            ),
        }
    }

    /// Reads a description.
    ///
    /// # Errors
    /// A file that is missing or is no description, with file, line and the nearest known key.
    pub fn load(path: &Path) -> Result<Description> {
        if !path.is_file() {
            misuse!("there is no file {}", path.display());
        }
        let text = reading::text(path)?;
        toml::from_str(&text).map_err(|error| config::explain(path, &text, &error))
    }

    /// Refuses, before anything is read, rules that cannot work and a split of what the source has
    /// not got.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] with the setting and what to do.
    pub fn check(&self) -> Result<()> {
        self.rules.check()?;
        self.split.check()?;
        self.raw.iter().try_for_each(RawFile::check)?;
        for (who, known) in [("item", &self.items), ("user", &self.users)] {
            known.as_ref().map_or(Ok(()), |known| known.check(who))?;
        }
        let source = &self.source;
        let timed = source.time.is_some() || source.day.is_some();
        match self.split.by {
            SplitBy::Time | SplitBy::Days if !timed => {
                misuse!("a split by time needs a log with times: give --time COLUMN")
            }
            SplitBy::Cut if source.time.is_none() || source.day.is_some() => {
                misuse!(
                    "a split by cut needs a log with times that count across users: give --time \
                     COLUMN, and no --day"
                )
            }
            SplitBy::Given if source.test_files.is_empty() => {
                misuse!("a given split needs the files that test: give --test-input FILE")
            }
            SplitBy::Given => Ok(()),
            _ if !source.test_files.is_empty() => {
                misuse!("files that test (--test-input) are for a given split: give --split given")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn load(text: &str) -> Result<Description> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.toml");
        fs::write(&path, text).unwrap();
        Description::load(&path)
    }

    #[test]
    fn the_descriptions_that_come_along_are_good() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
        let mut seen = 0;
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let description = Description::load(&path).unwrap();
                description.check().unwrap();
                assert_eq!(path.file_stem().unwrap().to_str(), Some(description.name.as_str()));
                assert!(!description.licence.is_empty() && !description.homepage.is_empty());
                assert!(!description.source.files.is_empty());
                seen += 1;
            }
        }
        assert!(seen >= 9);
    }

    #[test]
    fn what_is_left_out_has_its_usual_value() {
        let description = load("name = \"x\"\n[rules]\nmin_user_count = 2\n").unwrap();
        assert_eq!(description.rules, Rules { min_user_count: 2, ..Rules::default() });
        assert_eq!(description.split.by, SplitBy::Seed);
        assert!(description.source.header);
    }

    #[test]
    fn mistakes_are_told_with_file_and_line() {
        let said = |text: &str| format!("{:#}", load(text).unwrap_err());
        let error = said("name = \"x\"\n[source]\nusr = \"u\"\n");
        assert!(error.contains("d.toml:3: unknown key `usr`: did you mean `user`?"), "{error}");
        let error = said("name = \"x\"\n[split]\nby = \"sed\"\n");
        assert!(error.contains("d.toml:3: unknown value \"sed\" of `by`: did you mean `seed`?"));
        let error = said("name = \"x\"\n[rules]\nmin_item_count = \"5\"\n");
        assert!(error.contains("d.toml:3: invalid type: string \"5\", expected u64"), "{error}");
        assert!(said("about = \"x\"\n").contains("`name` is missing"));
        let missing = Description::load(Path::new("nowhere.toml")).unwrap_err();
        assert_eq!(crate::error::exit_status(&missing), 2);
    }
}
