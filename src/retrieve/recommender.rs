//! Histories in, the best items out.

use std::sync::Arc;

use anyhow::Result;
use tch::{CModule, Device, Tensor};

use super::catalogue::Catalogue;
use super::choice::Choice;
use super::most_popular::MostPopular;
use super::search::Search;
use crate::batch::pad;
use crate::host::top_k::Hit;
use crate::model::Model;

/// Users whose vectors are made at once.
const USERS: usize = 2048;

/// Turns histories into user vectors.
pub trait UserTower {
    /// User vectors `[batch, dim]` of int64 histories `[batch, length]`, padded with 0 at the end.
    ///
    /// # Errors
    /// What libtorch says.
    fn vectors(&self, histories: &Tensor) -> Result<Tensor>;
}

impl UserTower for Model {
    fn vectors(&self, histories: &Tensor) -> Result<Tensor> {
        Ok(self.users(histories))
    }
}

impl UserTower for CModule {
    fn vectors(&self, histories: &Tensor) -> Result<Tensor> {
        Ok(self.forward_ts(&[histories])?)
    }
}

impl<T: UserTower + ?Sized> UserTower for Box<T> {
    fn vectors(&self, histories: &Tensor) -> Result<Tensor> {
        (**self).vectors(histories)
    }
}

/// One user's wish.
pub struct Ask<'a> {
    /// Item ids, oldest first; of any length.
    pub history: &'a [u32],
    /// How many items, at most.
    pub top: usize,
    /// Whether items of the history are left out.
    pub exclude_seen: bool,
    /// What it allows and denies.
    pub choice: &'a Choice,
}

/// A tower, a search, and the names of the items.
pub struct Recommender<T> {
    pub catalogue: Arc<Catalogue>,
    pub tower: T,
    pub search: Search,
    /// What an empty history is answered with; `None`: what the tower makes of it.
    pub popular: Option<MostPopular>,
    /// The latest items of a history that the tower reads.
    pub history: usize,
    pub device: Device,
}

impl<T: UserTower> Recommender<T> {
    /// For each wish the best items, the best first: the higher score first, of equal scores the
    /// item that is more popular in the training data.
    ///
    /// # Errors
    /// When a user vector is not all numbers.
    pub fn recommend(&self, asks: &[Ask]) -> Result<Vec<Vec<Hit>>> {
        let mut all = Vec::with_capacity(asks.len());
        for asks in asks.chunks(USERS) {
            let popular = |ask: &Ask| match &self.popular {
                Some(popular) if ask.history.is_empty() => Some(popular.best(ask.top, ask.choice)),
                _ => None,
            };
            let popular: Vec<Option<Vec<Hit>>> = asks.iter().map(popular).collect();
            let warm = asks.iter().zip(&popular).filter(|(_, popular)| popular.is_none());
            let mut found = self.search(&warm.map(|(ask, _)| ask).collect::<Vec<_>>())?.into_iter();
            all.extend(
                popular.into_iter().map(|hits| hits.or_else(|| found.next()).unwrap_or_default()),
            );
        }
        Ok(all)
    }

    /// The same by the tower and the search.
    fn search(&self, asks: &[&Ask]) -> Result<Vec<Vec<Hit>>> {
        if asks.is_empty() {
            return Ok(vec![]);
        }
        let histories: Vec<&[u32]> = asks.iter().map(|ask| ask.history).collect();
        let users = user_vectors(&self.tower, &histories, self.history, self.device)?;
        let barred: Vec<Vec<u32>> = asks.iter().map(|ask| barred(ask)).collect();
        let top: Vec<usize> = asks.iter().zip(&barred).map(|(a, b)| a.top + b.len()).collect();
        let only: Vec<Option<&[u32]>> =
            asks.iter().map(|ask| ask.choice.allow.as_deref()).collect();
        let mut found = self.search.best(&users, &top, &only)?;
        for ((hits, ask), barred) in found.iter_mut().zip(asks).zip(&barred) {
            hits.retain(|hit| barred.binary_search(&hit.row).is_err());
            hits.truncate(ask.top);
        }
        Ok(found)
    }
}

/// The vectors `[histories, dim]` of users with these histories, of which a tower on `device` reads
/// the `latest` items.
///
/// # Errors
/// What libtorch says.
pub fn user_vectors<T: UserTower>(
    tower: &T,
    histories: &[&[u32]],
    latest: usize,
    device: Device,
) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let read: Vec<&[u32]> =
        histories.iter().map(|h| &h[h.len().saturating_sub(latest)..]).collect();
    tower.vectors(&pad(&read).to_device(device))
}

/// The rows that are not given, ascending.
fn barred(ask: &Ask) -> Vec<u32> {
    ask.choice.barred(if ask.exclude_seen { ask.history } else { &[] })
}

#[cfg(test)]
mod tests {
    use super::super::exact::Exact;
    use super::*;
    use crate::config::TowerConfig;

    /// Of fifty items, by a tower that reads three.
    fn recommender(popular: Option<MostPopular>) -> Recommender<Model> {
        let config = TowerConfig { dim: 4, history: 3, ..Default::default() };
        let tower = Model::new(&config, 50, 1, Device::Cpu);
        let search = Search::Exact(Exact::new(&tower.item_vectors(), None).unwrap());
        let names = (1..=50).map(|id| format!("i{id}")).collect();
        let catalogue = Arc::new(Catalogue::new(names));
        Recommender { catalogue, tower, search, popular, history: 3, device: Device::Cpu }
    }

    #[test]
    fn what_was_seen_is_left_out_and_nothing_else() {
        let recommender = recommender(None);
        let (history, choice) = ([9, 9, 1, 2, 3, 4], Choice::default());
        let ask = |top, exclude_seen| Ask { history: &history, top, exclude_seen, choice: &choice };
        let answers = recommender.recommend(&[ask(50, false), ask(10, true), ask(50, true)]);
        let [all, ten, rest] = answers.unwrap().try_into().unwrap();
        let unseen: Vec<Hit> =
            all.iter().copied().filter(|hit| !history.contains(&(hit.row + 1))).collect();
        assert_eq!((all.len(), unseen.len()), (50, 45));
        assert_eq!((&ten[..], &rest), (&unseen[..10], &unseen));
        // The tower reads the latest three.
        let vectors =
            |history: &[u32]| user_vectors(&recommender.tower, &[history], 3, Device::Cpu).unwrap();
        assert_eq!(vectors(&history), vectors(&[2, 3, 4]));
    }

    #[test]
    fn choices_hold_and_empty_histories_get_what_is_popular() {
        let counts: Vec<u64> = (0..50).map(|row| row * 7 % 50).collect();
        let recommender = recommender(Some(MostPopular::new(&counts, None)));
        let free = Choice::default();
        let deny = Choice { allow: None, deny: (0..50).step_by(3).collect() };
        let allow = Choice { allow: Some((10..30).collect()), deny: vec![12, 13, 40] };
        let none = Choice { allow: Some(vec![]), deny: vec![] };
        let history = [21, 4, 33];
        let of = |history, choice| Ask { history, top: 9, exclude_seen: true, choice };
        let whole = Ask { history: &history, top: 50, exclude_seen: false, choice: &free };
        let mut asks = vec![whole];
        for choice in [&free, &allow, &deny, &none] {
            asks.extend([of(&history[..], choice), of(&[], choice)]);
        }
        let found = recommender.recommend(&asks).unwrap();
        assert_eq!((found.len(), found[0].len()), (9, 50));
        let hit = |row: u32| Hit { row, score: counts[row as usize] as f32 };
        let mut popular: Vec<Hit> = (0..50).map(hit).collect();
        popular.sort_by(|a, b| b.score.total_cmp(&a.score));
        let whole = &found[0];
        for (ask, found) in asks.iter().zip(&found).skip(1) {
            let may = |hit: &&Hit| {
                ask.choice.allow.as_ref().is_none_or(|rows| rows.contains(&hit.row))
                    && !ask.choice.deny.contains(&hit.row)
                    && !ask.history.contains(&(hit.row + 1))
            };
            let all = if ask.history.is_empty() { &popular } else { whole };
            let expected: Vec<Hit> = all.iter().filter(may).take(9).copied().collect();
            assert_eq!(found, &expected);
        }
    }
}
