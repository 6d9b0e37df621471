//! Where a configuration does not fit its data, or a training did not get anywhere: what to change.

use crate::config::{Config, Length, Per, Samples};
use crate::data::{Dataset, Sequences, Split};

/// The share of the training interactions beyond the encoder's reach from which it is told.
const OUT_OF_REACH: f64 = 0.25;

/// The share of itself that a loss has to fall by to have moved.
const MOVED: f64 = 0.01;

/// What can be told before training, a sentence each.
pub fn of_data(config: &Config, dataset: &Dataset, training: &Sequences) -> Vec<String> {
    let shared = config.sampling.negatives.iter().filter(|source| source.per == Per::Batch);
    let candidates = too_many(shared.map(|source| source.count).sum(), dataset.item_count());
    let users = dataset.users_of(Split::Train);
    let lengths = users.iter().map(|&user| training.get(user).len());
    let auto = dataset.manifest.size().history();
    candidates.into_iter().chain(out_of_reach(config, auto, lengths)).collect()
}

fn too_many(candidates: usize, items: usize) -> Option<String> {
    (candidates > items).then(|| {
        format!(
            "sampling.negatives draws {candidates} candidates a batch from {items} items, each of \
             them {:.1} times: a count of {} would cost less and hardly tell it less",
            candidates as f64 / items as f64,
            items.div_ceil(2)
        )
    })
}

/// `auto`: what the log would have `tower.history` be.
fn out_of_reach(
    config: &Config,
    auto: usize,
    lengths: impl Iterator<Item = usize>,
) -> Option<String> {
    let history = config.tower.history;
    let (mut all, mut out) = (0, 0);
    for length in lengths {
        all += length;
        out += length.saturating_sub(history + 1);
    }
    let share = out as f64 / all.max(1) as f64;
    let what = match config.sampling.samples {
        Samples::Users => "lie further back than it reads from a sequence's end",
        Samples::Positions => "are older and never trained on",
    };
    let auto = match auto > history {
        true => format!("; \"auto\" would take {auto}"),
        false => String::new(),
    };
    (share > OUT_OF_REACH).then(|| {
        format!(
            "tower.history = {history}: {:.0} % of the training interactions {what}; a longer one \
             costs time{auto}",
            100.0 * share
        )
    })
}

/// What can be told after training from the first and the last of several mean losses that were
/// logged, and from whether the last validation was the best of several and nothing had stopped
/// the training.
pub fn of_training(config: &Config, losses: Option<(f64, f64)>, still_rising: bool) -> Vec<String> {
    let stuck = losses.filter(|(first, last)| *last > first - MOVED * first.abs());
    let stuck = stuck.map(|(first, last)| {
        format!(
            "the loss is where it began ({first:.4}, at the end {last:.4}): optimizer.learning_rate \
             = {} may be too small or too large, and train.{} too short",
            config.optimizer.learning_rate,
            length(config)
        )
    });
    let rising = still_rising.then(|| {
        format!(
            "{} was still rising at the last validation: more train.{} may give more",
            config.train.monitor,
            length(config)
        )
    });
    stuck.into_iter().chain(rising).collect()
}

/// The key that says how long is trained.
fn length(config: &Config) -> &'static str {
    match config.train.length {
        Length::Steps(_) => "steps",
        Length::Epochs(_) => "epochs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn config(text: &str) -> Config {
        let text = format!("data.path = \"x\"\n{text}");
        toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
    }

    #[test]
    fn more_candidates_than_items_are_told_with_a_number_that_would_do() {
        assert_eq!(too_many(3185, 3185), None);
        let told = too_many(16_384, 3185).unwrap();
        assert!(told.contains("5.1 times") && told.contains("1593"), "{told}");
    }

    #[test]
    fn sequences_are_told_to_be_longer_than_what_is_read() {
        let of = |text: &str, lengths: &[usize]| {
            out_of_reach(&config(text), 30, lengths.iter().copied())
        };
        // 20 and the target of 50 interactions are in reach, and all 10 of the short one.
        let told = of("", &[50, 10]).unwrap();
        assert!(told.contains("48 %") && told.contains("tower.history = 20"), "{told}");
        assert!(told.ends_with("\"auto\" would take 30"), "{told}");
        assert!(of("tower.history = 30", &[90]).unwrap().ends_with("costs time"));
        assert_eq!(of("", &[28, 21, 10]), None);
        assert_eq!(of("tower.history = 49", &[50, 10]), None);
        let positions = "sampling = { samples = \"positions\", negatives = [{ from = \"uniform\", count = 5, per = \"batch\" }] }";
        assert!(of(positions, &[50]).unwrap().contains("never trained on"));
    }

    #[test]
    fn a_training_that_got_nowhere_or_was_cut_short_is_told() {
        let told = |losses, rising| of_training(&config(""), losses, rising);
        assert!(told(Some((7.0, 6.9)), false).is_empty() && told(None, false).is_empty());
        let stuck = told(Some((7.0, 6.95)), false).concat();
        assert!(stuck.contains("optimizer.learning_rate = 0.02"), "{stuck}");
        // A loss may be below 0.
        assert!(told(Some((-7.0, -7.2)), false).is_empty());
        assert_eq!(told(Some((-7.0, -6.9)), false).len(), 1);
        let rising = told(Some((7.0, 3.0)), true).concat();
        assert!(rising.contains("recall@100") && rising.contains("train.steps"), "{rising}");
        let epochs = of_training(&config("train.epochs = 3"), None, true).concat();
        assert!(epochs.contains("train.epochs"), "{epochs}");
    }
}
