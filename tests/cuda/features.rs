//! What is known of items and users besides their ids, drawn.

use std::sync::Arc;

use croloss::config::Config;
use croloss::data::{Features, Field, FieldKind, Schema};
use croloss::model::{Known, KnownItems, ValueLists};
use croloss::random::{Purpose, stream};
use rand::RngExt;

/// Keys of a tower that reads all that there is.
pub const FIELDS: &str =
    "item_features = [\"one\", \"some\"]\nuser_features = [\"one\"]\nid_dropout = 0.3";

/// What the tower of `config` reads of so many items, the last of which training never meets, and of
/// users.
pub fn known(config: &Config, items: usize, users: usize) -> Known {
    let lists = |fields: &[String], of: usize| {
        (!fields.is_empty()).then(|| Arc::new(ValueLists::new(&drawn(of))))
    };
    let met = (0..items).map(|at| at + 1 < items).collect();
    let of_items = lists(&config.tower.item_features, items);
    Known {
        items: of_items.map(|lists| KnownItems { lists, met }),
        users: lists(&config.tower.user_features, users),
    }
}

/// A field of one value and one of one to three, of seven values each.
fn drawn(of: usize) -> Features {
    let field = |name: &str, kind| Field {
        name: name.into(),
        kind,
        values: (0..7).map(|value| value.to_string()).collect(),
        bounds: vec![],
    };
    let fields = vec![field("one", FieldKind::Category), field("some", FieldKind::Categories)];
    let mut rng = stream(2, Purpose::Generation, 0);
    let mut all = Features { schema: Schema { fields }, starts: vec![0], codes: vec![] };
    for _ in 0..of {
        all.codes.push(rng.random_range(1..=9));
        let (first, count) = (rng.random_range(10..=16), rng.random_range(1..=3));
        all.codes.extend(first..first + count);
        all.starts.push(all.codes.len() as u32);
    }
    all
}
