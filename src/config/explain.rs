//! One clear sentence for a TOML file that does not say what it should.

use std::path::Path;

use crate::error::Misuse;

/// Turns what serde found wrong in `text`, the content of the file at `path`, into a [`Misuse`]
/// that names file and line, and for an unknown key or value the nearest known one.
pub fn explain(path: &Path, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let start = error.span().map(|span| span.start.min(text.len()));
    let line = start.map(|at| text[..at].matches('\n').count());
    let place = match line {
        Some(line) => format!("{}:{}", path.display(), line + 1),
        None => path.display().to_string(),
    };
    let content = line.and_then(|line| text.lines().nth(line)).unwrap_or_default().trim();
    anyhow::Error::new(Misuse(format!("{place}: {}", sentence(error.message().trim(), content))))
}

/// The one of `known` that `name` was most probably meant to be, if any comes near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| {
            let (a, b) = (candidate.to_lowercase(), name.to_lowercase());
            (strsim::jaro_winkler(&a, &b), candidate)
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn sentence(message: &str, content: &str) -> String {
    for (start, what) in [("unknown field `", "key"), ("unknown variant `", "value")] {
        if let Some(rest) = message.strip_prefix(start) {
            return unknown(what, rest, content);
        }
    }
    if let Some(key) = message.strip_prefix("missing field `").and_then(|m| m.strip_suffix('`')) {
        return format!("the key `{key}` is missing");
    }
    let message = message.replace('\n', ", ");
    // A wrong type is told best by showing the line; for an error in TOML itself it helps as well.
    if content.is_empty() { message } else { format!("{message}, in: {content}") }
}

/// `rest` is what serde says after the opening quote: "name`, expected one of `a`, `b`".
fn unknown(what: &str, rest: &str, content: &str) -> String {
    let (name, expected) = rest.split_once('`').unwrap_or((rest, ""));
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let mut said = match (what, content.split_once('=')) {
        ("value", Some((key, _))) => format!("unknown value \"{name}\" of `{}`", key.trim()),
        _ => format!("unknown {what} `{name}`"),
    };
    if let Some(likely) = nearest(name, known.iter().copied()) {
        said += &format!(": did you mean `{likely}`?");
    }
    match known.len() {
        0 => said,
        _ => format!("{said} (known here: {})", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        learning_rate: f64,
        #[serde(default)]
        epochs: u32,
        #[serde(default)]
        part: Option<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Part {
        kernel: Kernel,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kernel {
        Sigmoid,
        Hinge,
    }

    fn said(text: &str) -> String {
        let error = toml::from_str::<Sample>(text).unwrap_err();
        let error = explain(Path::new("a/b.toml"), text, &error);
        assert_eq!(crate::error::exit_status(&error), 2);
        error.to_string()
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() {
        assert_eq!(
            said("learning_rate = 1.0\n# x\nepoch = 2\n"),
            "a/b.toml:3: unknown key `epoch`: did you mean `epochs`? \
             (known here: learning_rate, epochs, part)"
        );
        assert_eq!(
            said("learning_rate = 1.0\n[part]\nkernal = \"hinge\"\n"),
            "a/b.toml:3: unknown key `kernal`: did you mean `kernel`? (known here: kernel)"
        );
    }

    #[test]
    fn a_key_like_no_known_one_gets_no_guess() {
        assert_eq!(
            said("learning_rate = 1.0\nzzz = 2\n"),
            "a/b.toml:2: unknown key `zzz` (known here: learning_rate, epochs, part)"
        );
    }

    #[test]
    fn an_unknown_value_is_told_with_its_key() {
        assert_eq!(
            said("learning_rate = 1.0\n[part]\nkernel = \"hing\"\n"),
            "a/b.toml:3: unknown value \"hing\" of `kernel`: did you mean `hinge`? \
             (known here: sigmoid, hinge)"
        );
    }

    #[test]
    fn a_wrong_type_shows_the_line() {
        assert_eq!(
            said("learning_rate = 1.0\nepochs = \"ten\"\n"),
            "a/b.toml:2: invalid type: string \"ten\", expected u32, in: epochs = \"ten\""
        );
    }

    #[test]
    fn a_missing_key_and_broken_toml_are_told() {
        assert!(said("epochs = 1\n").ends_with("the key `learning_rate` is missing"));
        let broken = said("learning_rate = 1.0\nepochs = = 2\n");
        assert!(broken.starts_with("a/b.toml:2: "), "{broken}");
    }
}
