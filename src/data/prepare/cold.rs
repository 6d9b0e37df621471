//! Cold items leave all sequences; who met one of them last is asked for it.

use anyhow::{Result, bail};

use super::kept::Kept;
use crate::data::dataset::Cold;
use crate::data::interactions::Interactions;
use crate::data::manifest::DroppedCounts;
use crate::data::split::Split;
use crate::data::split_rule::{SplitBy, SplitRule};

/// The cold items of a log, which no sequence has any more.
pub struct Met {
    /// `[items of the log]`: whether each is cold, and was kept so far.
    pub items: Vec<bool>,
    /// `[users of the log]`: the last event of each before the cold ones left.
    last: Vec<Option<usize>>,
}

impl Met {
    /// Takes the cold items out of what is kept, and then users who have nothing else. Users who
    /// keep less than the rules ask for stay: they have met enough.
    ///
    /// # Errors
    /// A rule that makes no item cold, or leaves no user.
    pub fn take(
        kept: &mut Kept,
        items: &[String],
        split: &SplitRule,
        report: &mut DroppedCounts,
    ) -> Result<Met> {
        let one_in = split.cold_one_in.unwrap_or_default();
        let cold = |(id, kept): (&String, &bool)| *kept && split.is_cold(id);
        let cold: Vec<bool> = items.iter().zip(&kept.items).map(cold).collect();
        if !cold.contains(&true) {
            bail!("cold_one_in = {one_in} makes no item cold: give a smaller one");
        }
        let last = kept.last();
        let popularity = kept.popularity();
        (_, report.cold_item_interactions) = kept.drop_items(&popularity, |item| cold[item]);
        let lengths = kept.lengths();
        (report.cold_users, _) = kept.drop_short_users(&lengths, 1);
        if !kept.users.contains(&true) {
            bail!("cold_one_in = {one_in} leaves no user: all have met cold items only");
        }
        Ok(Met { items: cold, last })
    }

    /// The cold items by their ids, `numbers`, and which of `users`, each with its part, are asked
    /// for one.
    ///
    /// # Errors
    /// Nobody who is.
    pub fn asked(
        &self,
        events: &Interactions,
        users: &[(usize, Split)],
        split: &SplitRule,
        numbers: &[u32],
    ) -> Result<Cold> {
        let cold = numbers.iter().zip(&self.items).filter(|(_, cold)| **cold);
        let mut items: Vec<u32> = cold.map(|(number, _)| *number).collect();
        items.sort_unstable();
        let asks = |part: Split, event: usize| match split.by {
            SplitBy::LeaveOneOut => true,
            SplitBy::Cut => events.time.as_ref().map(|time| time[event]) >= split.test_from,
            _ => part == Split::Test,
        };
        let target = |(place, (user, part)): (usize, &(usize, Split))| {
            let event = self.last[*user].filter(|event| asks(*part, *event))?;
            let item = events.item[event] as usize;
            self.items[item].then_some((place as u32, numbers[item]))
        };
        let targets: Vec<(u32, u32)> = users.iter().enumerate().filter_map(target).collect();
        if targets.is_empty() {
            bail!(
                "cold_one_in = {} leaves nobody to ask: none of the {} cold items is the last of a \
                 user who tests",
                split.cold_one_in.unwrap_or_default(),
                items.len()
            );
        }
        Ok(Cold { items, targets })
    }
}

#[cfg(test)]
mod tests;
