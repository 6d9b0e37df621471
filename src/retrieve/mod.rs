//! From histories to recommendations: exact and approximate search over the item vectors.

mod answers;
mod catalogue;
mod choice;
mod csv;
mod exact;
mod graph_file;
mod id;
mod index;
mod json;
mod most_popular;
mod panels;
mod recall;
mod recommender;
mod requests;
mod search;
mod user_fields;

pub use crate::host::top_k::Hit;
pub use answers::{Answers, json_line};
pub use catalogue::{Catalogue, Filter, Known};
pub use choice::Choice;
pub use exact::Exact;
pub use id::Id;
pub use index::{Index, IndexManifest, OperatingPoint};
pub(crate) use json::parse as parse_json;
pub use most_popular::{MostPopular, POPULARITY};
pub use recall::{Measured, measure, popular};
pub use recommender::{Ask, Recommender, UserTower, user_vectors};
pub use requests::{Request, Requests};
pub use search::Search;
pub use user_fields::UserFields;
#[cfg(test)]
pub(crate) use user_fields::tests as user_fields_tests;

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use crate::host::top_k::Hit;
    use crate::random::{Purpose, stream};

    /// `rows` vectors of small whole numbers: exact scores, many ties.
    pub fn whole_numbers(rows: usize, dim: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut rng = stream(seed, Purpose::Queries, 0);
        let mut row = || (0..dim).map(|_| rng.random_range(-2i32..=2) as f32).collect();
        (0..rows).map(|_| row()).collect()
    }

    /// The best items by definition: all scores, sorted.
    pub fn brute(users: &[Vec<f32>], items: &[Vec<f32>], top: &[usize]) -> Vec<Vec<Hit>> {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x * y) as i32).sum::<i32>();
        let of = |(user, &top): (&Vec<f32>, &usize)| {
            let mut scores: Vec<(i32, usize)> =
                items.iter().enumerate().map(|(row, item)| (-dot(user, item), row)).collect();
            scores.sort();
            scores.truncate(top);
            let hit = |(score, row)| Hit { row: row as u32, score: 0.0 - score as f32 };
            scores.into_iter().map(hit).collect()
        };
        users.iter().zip(top).map(of).collect()
    }
}
