//! Which baselines there are, and what each is fitted with.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Als, AlsRecipe, Ease, ItemKnn, Popularity, Training, Transitions};
use crate::config::Protocol;
use crate::error::Misuse;
use crate::eval::Scorer;

/// A baseline and its hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Recipe {
    Popularity,
    Transitions,
    ItemKnn {
        /// Places in a sequence, see [`ItemKnn::fit`]; 0: whole sequences.
        window: usize,
        neighbours: usize,
    },
    Ease {
        lambda: f64,
        /// What an item's score gains for each time that the history has it.
        repeats: f64,
    },
    Als(AlsRecipe),
}

impl Recipe {
    /// The names of all, in the order of tables.
    pub const NAMES: [&str; 5] = ["popularity", "transitions", "item-knn", "ease", "als"];

    /// All baselines with the hyperparameters that they have if nobody gives any, for what
    /// `protocol` finds.
    pub fn defaults(protocol: Protocol) -> [Recipe; 5] {
        let window = match protocol {
            Protocol::Holdout => 0,
            Protocol::Positions | Protocol::LeaveOneOut => 10,
        };
        let als =
            AlsRecipe { factors: 64, alpha: 10.0, regularization: 10.0, iterations: 15, seed: 1 };
        [
            Recipe::Popularity,
            Recipe::Transitions,
            Recipe::ItemKnn { window, neighbours: 1000 },
            Recipe::Ease { lambda: 500.0, repeats: 0.0 },
            Recipe::Als(als),
        ]
    }

    /// The name in options, tables and files.
    pub fn name(&self) -> &'static str {
        let [popularity, transitions, item_knn, ease, als] = Self::NAMES;
        match self {
            Self::Popularity => popularity,
            Self::Transitions => transitions,
            Self::ItemKnn { .. } => item_knn,
            Self::Ease { .. } => ease,
            Self::Als(_) => als,
        }
    }

    /// The hyperparameters by name.
    pub fn parameters(&self) -> Vec<(String, Value)> {
        match serde_json::to_value(self) {
            Ok(Value::Object(all)) => all.into_iter().filter(|(key, _)| key != "name").collect(),
            _ => vec![],
        }
    }

    /// The name, and the hyperparameters that are not those of [`Recipe::defaults`].
    pub fn label(&self, protocol: Protocol) -> String {
        let of_name = |recipe: &Recipe| recipe.name() == self.name();
        let default = Self::defaults(protocol).into_iter().find(of_name);
        let usual = default.map(|recipe| recipe.parameters()).unwrap_or_default();
        let changed = self.parameters().into_iter().filter(|pair| !usual.contains(pair));
        let changed = changed.map(|(key, value)| format!(" {key}={value}"));
        std::iter::once(self.name().to_owned()).chain(changed).collect()
    }

    /// Puts another value in place of a hyperparameter, as `KEY=VALUE`.
    ///
    /// # Errors
    /// [`Misuse`] that names a key that the baseline has not, or a value that it cannot take.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        *self = self.with(assignment).map_err(|error| Misuse(format!("{error:#}")))?;
        Ok(())
    }

    fn with(&self, assignment: &str) -> Result<Recipe> {
        let name = self.name();
        let (key, value) = assignment
            .split_once('=')
            .with_context(|| format!("{name}.{assignment}: write NAME.KEY=VALUE"))?;
        let mut all = serde_json::to_value(self).context("cannot write a baseline")?;
        let known: Vec<String> = self.parameters().into_iter().map(|(key, _)| key).collect();
        if !known.iter().any(|known| known == key) {
            match known.is_empty() {
                true => bail!("{name}.{key}: {name} has nothing to set"),
                false => bail!("{name}.{key}: {name} has only {}", known.join(", ")),
            }
        }
        let wrong = || format!("{name}.{key} = {value}: not a number that it can be");
        all[key] = serde_json::from_str(value).with_context(wrong)?;
        let recipe: Recipe = serde_json::from_value(all).with_context(wrong)?;
        ensure!(recipe.is_sound(), wrong());
        Ok(recipe)
    }

    fn is_sound(&self) -> bool {
        let above_0 = |number: f64| number > 0.0 && number.is_finite();
        match *self {
            Self::Popularity | Self::Transitions => true,
            Self::ItemKnn { neighbours, .. } => neighbours > 0,
            Self::Ease { lambda, repeats } => above_0(lambda) && repeats.is_finite(),
            Self::Als(AlsRecipe { factors, alpha, regularization, iterations, .. }) => {
                (1..=1024).contains(&factors)
                    && (1..=10_000).contains(&iterations)
                    && above_0(alpha)
                    && above_0(regularization)
            }
        }
    }

    /// Refuses a catalogue of more items than the baseline can take.
    ///
    /// # Errors
    /// [`Misuse`] that says why.
    pub fn check(&self, items: usize) -> Result<()> {
        match self {
            Self::Ease { .. } => Ease::check(items),
            _ => Ok(()),
        }
    }

    /// In how many parts fitting is told of.
    pub(super) fn parts(&self) -> u64 {
        match self {
            Self::Als(recipe) => recipe.iterations as u64,
            _ => 1,
        }
    }

    /// Fits it. `progress` hears how many of [`Recipe::parts`] more are done.
    ///
    /// # Errors
    /// Those of [`Recipe::check`]; a solve that fails.
    pub(super) fn fit(
        &self,
        training: Training,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Box<dyn Scorer>> {
        Ok(match *self {
            Self::Popularity => Box::new(Popularity::fit(training)),
            Self::Transitions => Box::new(Transitions::fit(training)),
            Self::ItemKnn { window, neighbours } => {
                Box::new(ItemKnn::fit(training, (window > 0).then_some(window), neighbours))
            }
            Self::Ease { lambda, repeats } => Box::new(Ease::fit(training, lambda, repeats)?),
            Self::Als(recipe) => Box::new(Als::fit(training, recipe, progress)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::exit_status;

    #[test]
    fn every_default_is_sound_and_is_read_back() {
        for protocol in Protocol::ALL {
            let all = Recipe::defaults(protocol);
            assert_eq!(all.map(|recipe| recipe.name()), Recipe::NAMES);
            for recipe in all {
                let text = serde_json::to_string(&recipe).unwrap();
                assert!(text.contains(&format!("\"name\":\"{}\"", recipe.name())), "{text}");
                assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe);
                assert!(recipe.is_sound());
            }
        }
    }

    #[test]
    fn hyperparameters_are_set_by_name_and_checked() {
        let [popularity, _, mut knn, mut ease, mut als] = Recipe::defaults(Protocol::Holdout);
        ease.set("lambda=20.5").unwrap();
        assert_eq!(ease, Recipe::Ease { lambda: 20.5, repeats: 0.0 });
        assert_eq!(ease.label(Protocol::Holdout), "ease lambda=20.5");
        assert_eq!(als.label(Protocol::Holdout), "als");
        knn.set("window=3").unwrap();
        assert!(matches!(knn, Recipe::ItemKnn { window: 3, .. }));
        als.set("factors=8").unwrap();
        assert!(matches!(als, Recipe::Als(AlsRecipe { factors: 8, .. })));
        for (mut recipe, assignment, words) in [
            (ease, "lamda=1", "only lambda"),
            (ease, "lambda=0", "ease.lambda = 0"),
            (ease, "lambda=much", "ease.lambda = much"),
            (ease, "lambda", "NAME.KEY=VALUE"),
            (als, "factors=2.5", "als.factors = 2.5"),
            (popularity, "x=1", "nothing to set"),
        ] {
            let error = recipe.set(assignment).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(exit_status(&error), 2);
        }
    }
}
