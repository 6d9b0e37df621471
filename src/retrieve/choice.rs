//! What one request says of the items that it may be given.

use super::catalogue::Catalogue;
use crate::data::distinct;

/// The items that a request allows and denies, as rows of the item vectors, ascending, none twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Only these may be given; `None`: all.
    pub allow: Option<Vec<u32>>,
    /// These are not given.
    pub deny: Vec<u32>,
}

impl Choice {
    /// From original ids; those that the catalogue does not have can neither be given nor denied.
    pub fn of<S: AsRef<str>>(
        catalogue: &Catalogue,
        allow: Option<&[S]>,
        deny: Option<&[S]>,
    ) -> Self {
        let known = |ids: &[S]| distinct(&rows(&catalogue.known(ids).ids));
        Self { allow: allow.map(known), deny: deny.map(known).unwrap_or_default() }
    }

    /// The rows that are not given: what is denied, and the items of `seen`, by their ids.
    pub(super) fn barred(&self, seen: &[u32]) -> Vec<u32> {
        distinct(&[rows(seen), self.deny.clone()].concat())
    }
}

/// The rows of items, by their ids.
fn rows(ids: &[u32]) -> Vec<u32> {
    ids.iter().map(|id| id - 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ids_are_passed_over_and_an_empty_list_allows_nothing() {
        let catalogue = Catalogue::new(["a", "b", "c"].map(String::from).to_vec());
        let of = |allow, deny| Choice::of::<&str>(&catalogue, allow, deny);
        let choice = of(Some(&["c", "x", "a", "c"]), Some(&["b", "y", "b"]));
        assert_eq!(choice, Choice { allow: Some(vec![0, 2]), deny: vec![1] });
        assert_eq!(choice.barred(&[3, 2, 3]), [1, 2]);
        assert_eq!(of(Some(&["x"]), None), Choice { allow: Some(vec![]), deny: vec![] });
        assert_eq!(of(Some(&[]), None), of(Some(&["x"]), Some(&["y"])));
        assert_eq!(of(None, None), Choice::default());
    }
}
