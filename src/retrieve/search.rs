//! Where the best items are looked for: among all, or exactly among the few that a request allows.

use std::ptr;

use anyhow::Result;
use tch::Tensor;

use super::exact::{Exact, some};
use super::index::Index;
use crate::host::top_k::Hit;

/// Where the best items are looked for.
pub enum Search {
    Exact(Exact),
    Approximate(Index),
}

impl Search {
    /// For each of `users` `[users, dim]` its `top[user]` best items; where `only[user]` says so, of
    /// these rows (ascending), found by exact search. Neighbours who share such a list are searched
    /// for together.
    ///
    /// # Errors
    /// When a user vector is not all numbers.
    pub fn best(
        &self,
        users: &Tensor,
        top: &[usize],
        only: &[Option<&[u32]>],
    ) -> Result<Vec<Vec<Hit>>> {
        let (listed, free): (Vec<usize>, Vec<usize>) =
            (0..top.len()).partition(|&user| only[user].is_some());
        let of = |asked: &[usize]| -> (Tensor, Vec<usize>) {
            (some(users, asked), asked.iter().map(|&user| top[user]).collect())
        };
        let mut found = vec![vec![]; top.len()];
        if !free.is_empty() {
            let (users, top) = of(&free);
            let hits = match self {
                Search::Exact(exact) => exact.search(&users, &top)?,
                Search::Approximate(index) => index.search(&users, &top)?,
            };
            free.iter().zip(hits).for_each(|(&user, hits)| found[user] = hits);
        }
        let shared = |&a: &usize, &b: &usize| match (only[a], only[b]) {
            (Some(a), Some(b)) => ptr::eq(a, b),
            _ => false,
        };
        for alike in listed.chunk_by(shared) {
            let (users, top) = of(alike);
            let hits = self.only(only[alike[0]].unwrap_or_default())?.search(&users, &top)?;
            alike.iter().zip(hits).for_each(|(&user, hits)| found[user] = hits);
        }
        Ok(found)
    }

    fn only(&self, rows: &[u32]) -> Result<Exact> {
        match self {
            Search::Exact(exact) => exact.only(rows),
            Search::Approximate(index) => index.only(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::panels::tests::{brute, whole_numbers};

    fn tensor(rows: &[Vec<f32>]) -> Tensor {
        Tensor::from_slice(&rows.concat()).view([rows.len() as i64, rows[0].len() as i64])
    }

    #[test]
    fn lists_are_searched_as_if_there_were_no_other_items() {
        let (vectors, users) = (whole_numbers(300, 3, 11), whole_numbers(6, 3, 12));
        let served: Vec<u32> = (0..300).filter(|row| row % 5 > 0).collect();
        let many: Vec<u32> = (0..300).filter(|row| row % 2 == 1).collect();
        let (few, none): (&[u32], &[u32]) = (&[5, 6, 299], &[]);
        let only = [Some(&many[..]), None, Some(few), Some(few), Some(none), Some(&many)];
        let top = [40, 300, 1, 9, 3, 300];
        let expected = |served: Option<&[u32]>| {
            let mut all = brute(&users, &vectors, &[300; 6]);
            for ((hits, top), only) in all.iter_mut().zip(top).zip(only) {
                let within = |rows: Option<&[u32]>, row| rows.is_none_or(|r| r.contains(&row));
                hits.retain(|hit| within(only, hit.row) && within(served, hit.row));
                hits.truncate(top);
            }
            all
        };
        let (items, users) = (tensor(&vectors), tensor(&users));
        for served in [None, Some(served)] {
            let expected = expected(served.as_deref());
            let exact = Search::Exact(Exact::new(&items, served.clone()).unwrap());
            assert_eq!(exact.best(&users, &top, &only).unwrap(), expected);
            let mut index = Index::build(&items, &mut |_| {}).unwrap();
            index.serve_only(served.as_deref());
            let found = Search::Approximate(index).best(&users, &top, &only).unwrap();
            assert_eq!(found, expected);
        }
    }
}
