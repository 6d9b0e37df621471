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
pub(crate) use json::{is_array as is_json_array, parse as parse_json};
pub use most_popular::{MostPopular, POPULARITY};
pub use recall::{Measured, measure, popular};
pub use recommender::{Ask, Recommender, UserTower, user_vectors};
pub use requests::{Request, Requests};
pub use search::Search;
pub use user_fields::UserFields;
#[cfg(test)]
pub(crate) use user_fields::tests as user_fields_tests;
