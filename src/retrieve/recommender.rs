//! Histories in, the best items out.

use std::sync::Arc;

use anyhow::Result;
use tch::{CModule, Device, Tensor};

use super::catalogue::Catalogue;
use super::choice::Choice;
use super::exact::some;
use super::most_popular::MostPopular;
use super::search::Search;
use crate::batch::pad;
use crate::data::Schema;
use crate::host::top_k::Hit;
use crate::model::{Additions, Model};

/// Users whose vectors are made at once.
const USERS: usize = 2048;

/// Turns histories, and what is known of users besides, into user vectors.
pub trait UserTower {
    /// User vectors `[batch, dim]` of int64 histories `[batch, length]`, padded with 0 at the end;
    /// `fields`: for a tower that reads users' fields their codes, of each user a list, as
    /// [`Ask::fields`]; `None`: nothing is known of anyone.
    ///
    /// # Errors
    /// What libtorch says.
    fn vectors(&self, histories: &Tensor, fields: Option<&[&[u32]]>) -> Result<Tensor>;
}

impl UserTower for Model {
    fn vectors(&self, histories: &Tensor, fields: Option<&[&[u32]]>) -> Result<Tensor> {
        let nothing: &[u32] = &[];
        let features = self.user_features.as_ref().map(|own| match fields {
            Some(fields) => own.vectors_of_codes(fields),
            None => own.vectors_of_codes(&vec![nothing; histories.size()[0] as usize]),
        });
        Ok(self.users(histories, features.as_ref()))
    }
}

impl UserTower for CModule {
    fn vectors(&self, histories: &Tensor, fields: Option<&[&[u32]]>) -> Result<Tensor> {
        Ok(match fields {
            Some(fields) => {
                let codes = pad(fields).to_device(histories.device());
                self.forward_ts(&[histories, &codes])?
            }
            None => self.forward_ts(&[histories])?,
        })
    }
}

impl<T: UserTower + ?Sized> UserTower for Box<T> {
    fn vectors(&self, histories: &Tensor, fields: Option<&[&[u32]]>) -> Result<Tensor> {
        (**self).vectors(histories, fields)
    }
}

/// One user's wish.
pub struct Ask<'a> {
    /// Item ids, oldest first; of any length.
    pub history: &'a [u32],
    /// The codes of the user's fields, as [`Schema::codes`] gives them; of an empty list every field
    /// is missing.
    pub fields: &'a [u32],
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
    /// What inner products gain by repeats; `None`: nothing.
    pub repeats: Option<Additions>,
    /// The latest items of a history that the tower reads.
    pub history: usize,
    /// The fields of users that the tower reads; `None`: it reads none.
    pub user_fields: Option<Arc<Schema>>,
    pub device: Device,
}

impl<T: UserTower> Recommender<T> {
    /// For each wish the best items, the best first: the higher score first, of equal scores the
    /// item that is more popular in the whole log.
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
        let fields: Vec<&[u32]> = asks.iter().map(|ask| ask.fields).collect();
        let fields = self.user_fields.as_ref().map(|_| &fields[..]);
        let users = user_vectors(&self.tower, &histories, fields, self.history, self.device)?;
        let barred: Vec<Vec<u32>> = asks.iter().map(|ask| barred(ask)).collect();
        let gains: Vec<Vec<(u32, f32)>> =
            asks.iter().zip(&barred).map(|(ask, barred)| self.gains(ask, barred)).collect();
        let passed = barred.iter().zip(&gains).map(|(barred, gains)| barred.len() + gains.len());
        let top: Vec<usize> =
            asks.iter().zip(passed).map(|(ask, passed)| ask.top + passed).collect();
        let only: Vec<Option<&[u32]>> =
            asks.iter().map(|ask| ask.choice.allow.as_deref()).collect();
        let mut found = self.search.best(&users, &top, &only)?;
        for ((hits, barred), gains) in found.iter_mut().zip(&barred).zip(&gains) {
            hits.retain(|hit| {
                barred.binary_search(&hit.row).is_err() && gain(gains, hit).is_none()
            });
        }
        self.add_repeated(&users, &gains, &mut found)?;
        asks.iter().zip(&mut found).for_each(|(ask, hits)| hits.truncate(ask.top));
        Ok(found)
    }

    /// The rows of the history's items that may be given, ascending, with what each gains.
    fn gains(&self, ask: &Ask, barred: &[u32]) -> Vec<(u32, f32)> {
        let Some(repeats) = &self.repeats else { return vec![] };
        let mut gains = repeats.of(ask.history);
        gains.iter_mut().for_each(|(item, _)| *item -= 1);
        let allowed =
            |row: &u32| ask.choice.allow.as_ref().is_none_or(|a| a.binary_search(row).is_ok());
        gains.retain(|(row, _)| allowed(row) && barred.binary_search(row).is_err());
        gains
    }

    /// Puts what gains by repeats among what was found, by its score with the gain: an index finds
    /// items by their vectors alone, so that these are scored one by one.
    fn add_repeated(
        &self,
        users: &Tensor,
        gains: &[Vec<(u32, f32)>],
        found: &mut [Vec<Hit>],
    ) -> Result<()> {
        let asked: Vec<usize> = (0..gains.len()).filter(|&user| !gains[user].is_empty()).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let users = some(users, &asked);
        let row = |&(row, _): &(u32, f32)| row;
        let lists: Vec<Vec<u32>> =
            asked.iter().map(|&user| gains[user].iter().map(row).collect()).collect();
        let top: Vec<usize> = lists.iter().map(Vec::len).collect();
        let only: Vec<Option<&[u32]>> = lists.iter().map(|list| Some(&list[..])).collect();
        for (user, mut own) in asked.into_iter().zip(self.search.best(&users, &top, &only)?) {
            own.iter_mut().for_each(|hit| hit.score += gain(&gains[user], hit).unwrap_or_default());
            found[user].append(&mut own);
            found[user].sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        }
        Ok(())
    }
}

/// The vectors `[histories, dim]` of users with these histories, of which a tower on `device` reads
/// the `latest` items, and these `fields`, if it reads such.
///
/// # Errors
/// What libtorch says.
pub fn user_vectors<T: UserTower>(
    tower: &T,
    histories: &[&[u32]],
    fields: Option<&[&[u32]]>,
    latest: usize,
    device: Device,
) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let read: Vec<&[u32]> =
        histories.iter().map(|h| &h[h.len().saturating_sub(latest)..]).collect();
    tower.vectors(&pad(&read).to_device(device), fields)
}

/// What a hit gains, if it does.
fn gain(gains: &[(u32, f32)], hit: &Hit) -> Option<f32> {
    let place = gains.binary_search_by_key(&hit.row, |(row, _)| *row);
    place.ok().map(|place| gains[place].1)
}

/// The rows that are not given, ascending.
fn barred(ask: &Ask) -> Vec<u32> {
    ask.choice.barred(if ask.exclude_seen { ask.history } else { &[] })
}

#[cfg(test)]
mod tests {
    use super::super::exact::Exact;
    use super::super::index::Index;
    use super::super::user_fields::tests::schema;
    use super::*;
    use crate::config::TowerConfig;
    use crate::data::Features;
    use crate::model::{Known, ValueLists};

    /// Of fifty items, by a tower that reads three.
    fn recommender(popular: Option<MostPopular>) -> Recommender<Model> {
        let config = TowerConfig { dim: 4, history: 3, ..Default::default() };
        let tower = Model::new(&config, 50, 1, Device::Cpu);
        let search = Search::Exact(Exact::new(&tower.item_vectors(), None).unwrap());
        let names = (1..=50).map(|id| format!("i{id}")).collect();
        let catalogue = Arc::new(Catalogue::new(names));
        Recommender {
            catalogue,
            tower,
            search,
            popular,
            repeats: None,
            history: 3,
            user_fields: None,
            device: Device::Cpu,
        }
    }

    /// For all fifty items.
    fn wish<'a>(history: &'a [u32], choice: &'a Choice) -> Ask<'a> {
        Ask { history, fields: &[], top: 50, exclude_seen: false, choice }
    }

    /// The model's fields are heard, each user's own, beside users of whom nothing is known.
    #[test]
    fn fields_of_users_move_their_vectors() {
        let schema = schema();
        let users = Features { schema: schema.clone(), starts: vec![0], codes: vec![] };
        let known = Known { items: None, users: Some(Arc::new(ValueLists::new(&users))) };
        let plain = recommender(None);
        let config = TowerConfig { dim: 4, history: 3, ..Default::default() };
        let tower = Model::new(&config, 50, 1, Device::Cpu).knowing(&known, 1);
        let (_, table) = tower.user_features.as_ref().unwrap().table();
        let _ = table.get(1).fill_(0.3);
        let rows = Vec::<Vec<f32>>::try_from(&table).unwrap();
        let histories: [&[u32]; 3] = [&[1, 2], &[1, 2], &[7]];
        let fields: [&[u32]; 3] = [&[4, 8, 11, 12], &[], &[1, 7, 9]];
        // What is missing of the other fields is 0, as before a training.
        let added: Vec<Vec<f32>> = vec![
            (0..4).map(|d| rows[4][d] + rows[8][d] + (rows[11][d] + rows[12][d]) / 2.0).collect(),
            vec![0.3; 4],
            (0..4).map(|d| 0.3 + rows[7][d]).collect(),
        ];
        let expected = tower.users(&pad(&histories), Some(&Tensor::from_slice2(&added)));
        let found = user_vectors(&tower, &histories, Some(&fields), 3, Device::Cpu).unwrap();
        assert!(found.allclose(&expected, 1e-6, 1e-7, false), "{found} {expected}");
        let unknown = user_vectors(&tower, &histories, None, 3, Device::Cpu).unwrap();
        assert_eq!(unknown.get(1), found.get(1));
        assert_ne!(unknown.get(0), found.get(0));
        // The same through all that recommends; and who reads no fields hears none.
        let free = Choice::default();
        let asks: Vec<Ask> = histories
            .iter()
            .zip(fields)
            .map(|(history, fields)| Ask { fields, ..wish(history, &free) })
            .collect();
        let deaf = plain.recommend(&asks).unwrap();
        assert_eq!(deaf[0], deaf[1]);
        let user_fields = Some(Arc::new(schema));
        let hears = Recommender { tower, user_fields, ..plain };
        for (hits, user) in hears.recommend(&asks).unwrap().iter().zip(0..) {
            let scores = hears.tower.item_vectors().matmul(&expected.get(user));
            let (best, row) = scores.max_dim(0, false);
            assert!((f64::from(hits[0].score) - best.double_value(&[])).abs() < 1e-6);
            assert_eq!(i64::from(hits[0].row), row.int64_value(&[]));
        }
    }

    #[test]
    fn what_was_seen_is_left_out_and_nothing_else() {
        let recommender = recommender(None);
        let (history, choice) = ([9, 9, 1, 2, 3, 4], Choice::default());
        let ask = |top, exclude_seen| Ask { top, exclude_seen, ..wish(&history, &choice) };
        let answers = recommender.recommend(&[ask(50, false), ask(10, true), ask(50, true)]);
        let [all, ten, rest] = answers.unwrap().try_into().unwrap();
        let unseen: Vec<Hit> =
            all.iter().copied().filter(|hit| !history.contains(&(hit.row + 1))).collect();
        assert_eq!((all.len(), unseen.len()), (50, 45));
        assert_eq!((&ten[..], &rest), (&unseen[..10], &unseen));
        // The tower reads the latest three.
        let vectors = |history: &[u32]| {
            user_vectors(&recommender.tower, &[history], None, 3, Device::Cpu).unwrap()
        };
        assert_eq!(vectors(&history), vectors(&[2, 3, 4]));
    }

    /// By an exact search and an index: what comes is what all scores with their gains say.
    #[test]
    fn repeats_are_found_where_their_gains_put_them() {
        let exact = recommender(None);
        let additions = Additions {
            history: 3,
            by_count: [0.5, -3.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            by_recency: [-1.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        };
        let histories: [&[u32]; 5] = [&[7, 9, 1, 1, 2], &[3, 3, 3], &[5, 6, 7], &[8], &[44, 45]];
        // By hand: (item, gain) of the latest three.
        let gains: [&[(u32, f32)]; 5] = [
            &[(1, -2.75), (2, -0.5)],
            &[(3, 8.0)],
            &[(5, 0.75), (6, 0.75), (7, -0.5)],
            &[(8, -0.5)],
            &[(44, 0.75), (45, -0.5)],
        ];
        let free = Choice::default();
        let deny = Choice { allow: None, deny: (0..50).step_by(2).collect() };
        let allow = Choice { allow: Some((2..45).collect()), deny: vec![5] };
        let mut index = Index::build(&exact.tower.item_vectors(), &mut |_| {}).unwrap();
        index.serve_only(None);
        let index = Recommender { search: Search::Approximate(index), ..recommender(None) };
        let plain = |history, choice| exact.recommend(&[wish(history, choice)]).unwrap().remove(0);
        let mut expected = vec![];
        let mut asks = vec![];
        for (history, gains) in histories.into_iter().zip(gains) {
            for (choice, exclude_seen, top) in [
                (&free, false, 50),
                (&free, false, 4),
                (&deny, false, 50),
                (&allow, false, 9),
                (&free, true, 50),
            ] {
                let mut all = plain(history, choice);
                for hit in &mut all {
                    let gain = gains.iter().find(|(item, _)| *item == hit.row + 1);
                    hit.score += gain.map_or(0.0, |(_, gain)| *gain);
                }
                all.retain(|hit| !exclude_seen || !history.contains(&(hit.row + 1)));
                all.sort_by(|a, b| b.score.total_cmp(&a.score));
                all.truncate(top);
                expected.push(all);
                asks.push(Ask { top, exclude_seen, ..wish(history, choice) });
            }
        }
        for mut recommender in [recommender(None), index] {
            recommender.repeats = Some(additions.clone());
            for (found, expected) in recommender.recommend(&asks).unwrap().iter().zip(&expected) {
                // An index sums products in its own order.
                let near =
                    |(a, b): (&Hit, &Hit)| a.row == b.row && (a.score - b.score).abs() < 1e-5;
                assert_eq!(found.len(), expected.len());
                assert!(found.iter().zip(expected).all(near), "{found:?}, {expected:?}");
            }
        }
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
        let of = |history, choice| Ask { top: 9, exclude_seen: true, ..wish(history, choice) };
        let mut asks = vec![wish(&history, &free)];
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
