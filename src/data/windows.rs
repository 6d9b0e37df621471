//! The sequences of all users cut at two moments, or before their last items: what is before trains,
//! what is after tests.

use std::borrow::Cow;
use std::ops::Range;

use anyhow::{Result, bail};

use super::cut::Cut;
use super::dataset::{Dataset, Sequences};
use super::span::Span;
use super::split::Split;
use super::split_rule::{SplitBy, SplitRule};
use crate::config::Protocol;
use crate::misuse;

impl SplitRule {
    /// Cuts all sequences, if this rule does; `times` are those of their items.
    ///
    /// # Errors
    /// A moment that does not lie within the log.
    pub(super) fn cuts(
        &self,
        sequences: &Sequences,
        times: Option<&[i64]>,
        span: Option<Span>,
    ) -> Result<Option<Vec<Cut>>> {
        let before_last = |user: &[usize]| Cut::before_last(user[1] - user[0]);
        match self.by {
            SplitBy::Cut => self.by_moments(sequences, times, span).map(Some),
            SplitBy::LeaveOneOut => {
                Ok(Some(sequences.offsets.windows(2).map(before_last).collect()))
            }
            _ => Ok(None),
        }
    }

    fn by_moments(
        &self,
        sequences: &Sequences,
        times: Option<&[i64]>,
        span: Option<Span>,
    ) -> Result<Vec<Cut>> {
        let (Some(times), Some(span)) = (times, span) else {
            misuse!("a split by cut needs a log with times (time)");
        };
        let [from, test] = [self.validation_from, self.test_from].map(Option::unwrap_or_default);
        span.refuse_outside(from, test, "the log")?;
        let cut = |user: &[usize]| {
            let times = &times[user[0]..user[1]];
            let before = |moment| times.partition_point(|time| *time < moment);
            Cut { validation: before(from), test: before(test) }
        };
        Ok(sequences.offsets.windows(2).map(cut).collect())
    }
}

impl Dataset {
    /// Refuses a cut that leaves a part without users.
    pub(super) fn check_cuts(&self) -> Result<()> {
        for part in Split::ALL {
            if self.cuts.is_some() && self.users_of(part).is_empty() {
                let why = match (self.manifest.split.by, part) {
                    (SplitBy::LeaveOneOut, _) => ": none has three items",
                    (_, Split::Train) => {
                        ", which need interactions there: move its validation_from and test_from"
                    }
                    _ => {
                        ", which need interactions there and before: move its validation_from and \
                         test_from"
                    }
                };
                let users = self.users.len();
                bail!("the split leaves none of {users} users for {}{why}", part.name());
            }
        }
        Ok(())
    }

    /// The items of `user` that belong to `part`: without cuts all that there are.
    pub fn items_of(&self, part: Split, user: usize) -> &[u32] {
        let sequence = self.sequences.get(user);
        match &self.cuts {
            Some(cuts) => &sequence[cuts[user].items(part, sequence.len())],
            None => sequence,
        }
    }

    /// `[users]`: where in the sequence of each of `users` the items are that validate or test, the
    /// history being all before them. `None` where users are split, not sequences, and of training.
    pub fn windows(&self, part: Split, users: &[usize]) -> Option<Vec<Range<usize>>> {
        let cuts = self.cuts.as_ref().filter(|_| part != Split::Train)?;
        let window = |&user: &usize| cuts[user].items(part, self.sequences.get(user).len());
        Some(users.iter().map(window).collect())
    }

    /// `[items]`: what stands in what trains, or before the last item that is asked of one of `users`,
    /// some of `part`. Under [`Protocol::LeaveOneOut`] nobody is asked to rank anything else: no
    /// vector of it was ever learned, and no history has it. `None` where everything is asked for.
    pub fn rankable(&self, protocol: Protocol, part: Split, users: &[usize]) -> Option<Vec<bool>> {
        (protocol == Protocol::LeaveOneOut).then(|| self.known_items(part, users))
    }

    fn known_items(&self, part: Split, users: &[usize]) -> Vec<bool> {
        let mut known = vec![false; self.item_count()];
        let training = self.users_of(Split::Train);
        let trained = training.iter().flat_map(|&user| self.items_of(Split::Train, user));
        trained.for_each(|&id| known[id as usize - 1] = true);
        let windows = self.windows(part, users);
        for (at, &user) in users.iter().enumerate() {
            let sequence = match part {
                Split::Train => self.items_of(part, user),
                Split::Validation | Split::Test => self.sequences.get(user),
            };
            let end = windows.as_ref().map_or(sequence.len(), |windows| windows[at].end);
            let before = &sequence[..end.saturating_sub(1)];
            before.iter().for_each(|&id| known[id as usize - 1] = true);
        }
        known
    }

    /// The sequences as training may know them. Cut ones are copies that end where validation
    /// begins: whoever has only these can learn nothing of what follows.
    pub fn training(&self) -> Cow<'_, Sequences> {
        if self.cuts.is_none() {
            return Cow::Borrowed(&self.sequences);
        }
        let mut known = Sequences { items: vec![], offsets: vec![0] };
        for user in 0..self.sequences.len() {
            known.items.extend(self.items_of(Split::Train, user));
            known.offsets.push(known.items.len());
        }
        Cow::Owned(known)
    }

    /// How often each item, that of id `i` at `i - 1`, stands in the training part.
    pub fn training_counts(&self) -> Vec<u64> {
        self.training().occurrences(&self.users_of(Split::Train), self.item_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Interactions, Log, Rules, SplitBy, prepare};
    use crate::random::{Purpose, stream};
    use rand::RngExt;

    fn rule(validation_from: i64, test_from: i64) -> SplitRule {
        SplitRule {
            by: SplitBy::Cut,
            validation_from: Some(validation_from),
            test_from: Some(test_from),
            ..SplitRule::default()
        }
    }

    /// 200 users with 1 to 12 events at times 0 to 99, some of them tied, in no order.
    fn log() -> Log {
        let mut rng = stream(11, Purpose::Batch, 0);
        let mut events = Interactions {
            users: (0..200).map(|user| format!("u{user}")).collect(),
            items: (0..30).map(|item| format!("i{item}")).collect(),
            ..Interactions::default()
        };
        let mut times = vec![];
        for user in 0..200 {
            for _ in 0..rng.random_range(1..=12) {
                events.user.push(user);
                events.item.push(rng.random_range(0..30));
                times.push(rng.random_range(0..100));
            }
        }
        events.time = Some(times);
        Log { interactions: events, files: vec![], left_out: 0 }
    }

    fn made(rule: &SplitRule) -> Result<Dataset> {
        prepare(
            "x",
            log(),
            &Rules { min_item_count: 1, min_user_count: 3, ..Rules::default() },
            rule,
        )
    }

    /// Of each user of the log the original items at times of which `wanted` is true, in order.
    fn brute(user: &str, wanted: impl Fn(i64) -> bool) -> Vec<String> {
        let events = log().interactions;
        let times = events.time.unwrap();
        let mut found: Vec<(i64, usize)> = (0..times.len())
            .filter(|at| events.users[events.user[*at] as usize] == user && wanted(times[*at]))
            .map(|at| (times[at], at))
            .collect();
        found.sort_unstable();
        found.iter().map(|(_, at)| events.items[events.item[*at] as usize].clone()).collect()
    }

    #[test]
    fn each_part_has_the_items_of_its_time_and_training_no_other() {
        let dataset = made(&rule(60, 80)).unwrap();
        let named = |items: &[u32]| -> Vec<String> {
            items.iter().map(|id| dataset.items[*id as usize - 1].original.to_string()).collect()
        };
        let training = dataset.training();
        let mut users = [vec![], vec![], vec![]];
        for (user, name) in dataset.users.iter().enumerate() {
            let parts = [
                brute(name, |time| time < 60),
                brute(name, |time| (60..80).contains(&time)),
                brute(name, |time| time >= 80),
            ];
            assert_eq!(named(training.get(user)), parts[0]);
            let mut before = 0;
            for (at, part) in Split::ALL.into_iter().enumerate() {
                assert_eq!(named(dataset.items_of(part, user)), parts[at], "{name}");
                if !parts[at].is_empty() && (at == 0 || before > 0) {
                    users[at].push(user);
                    if let Some(windows) = dataset.windows(part, &[user]) {
                        let window = before..before + parts[at].len();
                        assert_eq!((windows, at > 0), (vec![window], true));
                    }
                }
                before += parts[at].len();
            }
        }
        for (part, users) in Split::ALL.into_iter().zip(users) {
            assert!(users.len() > 50 && users.len() < dataset.users.len());
            assert_eq!(dataset.users_of(part), users);
        }
        assert_eq!(training.len(), dataset.sequences.len());
        let counts = dataset.training_counts();
        for (item, count) in dataset.items.iter().zip(&counts) {
            let met = |name: &String| {
                brute(name, |time| time < 60).iter().filter(|id| **id == item.original).count()
            };
            assert_eq!(dataset.users.iter().map(met).sum::<usize>() as u64, *count);
        }
        assert_eq!(counts.iter().sum::<u64>(), training.items.len() as u64);
        let plain = made(&SplitRule::default()).unwrap();
        assert!(matches!(plain.training(), Cow::Borrowed(_)));
        assert_eq!(plain.windows(Split::Test, &[1]), None);
    }

    #[test]
    fn of_every_sequence_the_last_item_tests_and_the_one_before_validates() {
        let rule = SplitRule { by: SplitBy::LeaveOneOut, ..SplitRule::default() };
        let rules = Rules { min_item_count: 1, min_user_count: 1, ..Rules::default() };
        let dataset = prepare("x", log(), &rules, &rule).unwrap();
        let mut short = 0;
        for user in 0..dataset.users.len() {
            let sequence = dataset.sequences.get(user);
            let whole = brute(&dataset.users[user], |_| true);
            assert_eq!(sequence.len(), whole.len());
            let [train, validation, test] = Split::ALL.map(|part| dataset.items_of(part, user));
            if let [before @ .., last_but_one, last] = sequence
                && !before.is_empty()
            {
                assert_eq!((train, validation, test), (before, &[*last_but_one][..], &[*last][..]));
                let windows = dataset.windows(Split::Test, &[user]).unwrap();
                let window = sequence.len() - 1..sequence.len();
                assert_eq!(windows, vec![window]);
            } else {
                short += 1;
                assert_eq!((train, validation.len(), test.len()), (sequence, 0, 0));
            }
            assert_eq!(dataset.training().get(user), train);
        }
        for (part, ahead) in [(Split::Validation, 2), (Split::Test, 1)] {
            let known = dataset.known_items(part, &dataset.users_of(part));
            for (at, item) in dataset.items.iter().enumerate() {
                let is_met = |user: usize| {
                    let sequence = dataset.sequences.get(user);
                    let last = if sequence.len() < 3 { 0 } else { ahead };
                    sequence[..sequence.len() - last].contains(&(at as u32 + 1))
                };
                let met = (0..dataset.users.len()).any(is_met);
                assert_eq!(known[at], met, "{part:?} {}", item.original);
            }
        }
        let long = dataset.users.len() - short;
        assert!(short > 10 && long > 100, "{short} {long}");
        assert_eq!(Split::ALL.map(|part| dataset.users_of(part).len()), [short + long, long, long]);
        let pair = Interactions {
            users: vec!["u".into()],
            items: vec!["i".into()],
            user: vec![0, 0],
            item: vec![0, 0],
            ..Interactions::default()
        };
        let log = Log { interactions: pair, files: vec![], left_out: 0 };
        let said = prepare("x", log, &rules, &rule).unwrap_err().to_string();
        assert!(said.contains("none has three items"), "{said}");
    }

    #[test]
    fn a_cut_outside_the_log_or_without_users_is_refused() {
        let said = |rule: SplitRule| made(&rule).unwrap_err().to_string();
        for rule in [rule(0, 80), rule(60, 100), rule(-5, 200)] {
            let said = said(rule);
            assert!(said.contains("whose times go from 0 to 99 (in the log's own unit"), "{said}");
        }
        assert!(said(rule(80, 80)).contains("validation_from (80) must be before its test_from"));
        assert!(said(SplitRule { test_from: None, ..rule(60, 80) }).contains("needs"));
        assert!(said(rule(1, 2)).contains("for train") || said(rule(1, 2)).contains("for valid"));
    }
}
