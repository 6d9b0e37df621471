//! The descriptions of data sets that come along with the program.

use crate::config;

/// The names of files in `datasets/`, each with its text.
macro_rules! descriptions {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../datasets/", $name, ".toml")))),+]
    };
}

const DESCRIPTIONS: &[(&str, &str)] = descriptions![
    "amazon-beauty",
    "amazon-books",
    "amazon-books-ratings",
    "beauty-5core",
    "beauty-5core-features",
    "diginetica",
    "diginetica-sessions",
    "generated",
    "movielens-1m",
    "movielens-20m",
    "movielens-32m",
    "online-retail",
    "otto",
    "sports-5core",
    "sports-5core-features",
    "taobao",
    "yoochoose",
];

/// Their names, in alphabetical order.
pub fn known_descriptions() -> impl Iterator<Item = &'static str> {
    DESCRIPTIONS.iter().map(|(name, _)| *name)
}

/// The text of the description of that name.
pub(super) fn text(name: &str) -> Option<&'static str> {
    DESCRIPTIONS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A question after the likeliest name, or nothing.
pub(super) fn nearest(name: &str) -> String {
    let likely = config::nearest(name, known_descriptions());
    likely.map(|name| format!(": did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn all_descriptions_come_along_but_the_template() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut names: Vec<String> = files
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|name| name != "template")
            .collect();
        names.sort();
        assert_eq!(known_descriptions().collect::<Vec<_>>(), names);
    }
}
