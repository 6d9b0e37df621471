//! Both towers forward and backward, row by row.

use rayon::prelude::*;
use tch::Tensor;

use super::{Kept, Shape};
use crate::loss::PANEL;
use crate::simd::{self, Level, Matrix, gemm};

/// Users a task, and negatives a task.
const USERS: usize = 32;
const NEGATIVES: usize = 128;

/// What the backward pass needs of a user besides vectors.
#[derive(Clone, Copy, Default)]
pub struct User {
    /// One through the number of items in the history, at least 1.
    share: f32,
    /// 1/|x| of the user's vector and of the target's.
    inverse: f32,
    target_inverse: f32,
    /// γ·û·t̂
    pub positive: f32,
}

/// Forward, from (table, histories, targets): pooled, γ·û, t̂.
pub fn users(
    level: Level,
    shape: Shape,
    scale: f32,
    kernel: &[f32],
    bias: &[f32],
    (table, histories, targets): (&[f32], &[i64], &[i64]),
    (users, pooled, user, target): (&mut [User], &mut [f32], &mut [f32], &mut [f32]),
) {
    let Shape { length, dim, wide, .. } = shape;
    users
        .par_chunks_mut(USERS)
        .zip(pooled.par_chunks_mut(USERS * wide))
        .zip(user.par_chunks_mut(USERS * wide))
        .zip(target.par_chunks_mut(USERS * wide))
        .zip(histories.par_chunks(USERS * length))
        .zip(targets.par_chunks(USERS))
        .for_each(|(((((users, pooled), user), target), histories), targets)| {
            for (at, own) in users.iter_mut().enumerate() {
                let sum = &mut pooled[at * wide..][..dim];
                sum.fill(0.0);
                let mut count = 0;
                let history = &histories[at * length..][..length];
                for (place, &id) in history.iter().enumerate() {
                    if let Some(&ahead) = history.get(place + 4) {
                        prefetch(table, ahead, dim);
                    }
                    if id != 0 {
                        count += 1;
                        add(sum, row(table, id, dim));
                    }
                }
                own.share = 1.0 / count.max(1) as f32;
                sum.iter_mut().for_each(|x| *x *= own.share);
            }
            let left = Matrix { at: pooled.as_ptr(), row: wide, column: 1 };
            let right = Matrix { at: kernel.as_ptr(), row: wide, column: 1 };
            // SAFETY: pooled `[users, wide]`, kernel `[dim, wide]`, user `[users, wide]`.
            unsafe {
                gemm(level, [users.len(), wide, dim], left, right, user.as_mut_ptr(), wide, false);
            }
            for (at, own) in users.iter_mut().enumerate() {
                let (user, target) = (&mut user[at * wide..][..wide], &mut target[at * wide..]);
                add(&mut user[..dim], bias);
                own.inverse = inverse_length(user);
                user.iter_mut().for_each(|x| *x *= own.inverse * scale);
                let from = row(table, targets[at], dim);
                own.target_inverse = inverse_length(from);
                for (to, x) in target.iter_mut().zip(from) {
                    *to = x * own.target_inverse;
                }
                own.positive = dot(user, &target[..wide]);
            }
        });
}

/// Forward, from (table, ids): n̂, 1/|n| and n̂ᵀ by panels.
pub fn negatives(
    shape: Shape,
    (table, ids): (&[f32], &[i64]),
    (unit, inverse, across): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let Shape { dim, wide, .. } = shape;
    unit.par_chunks_mut(NEGATIVES * wide)
        .zip(inverse.par_chunks_mut(NEGATIVES))
        .zip(across.par_chunks_mut(NEGATIVES * wide))
        .zip(ids.par_chunks(NEGATIVES))
        .for_each(|(((unit, inverse), across), ids)| {
            for (at, &id) in ids.iter().enumerate() {
                if let Some(&ahead) = ids.get(at + 8) {
                    prefetch(table, ahead, dim);
                }
                let from = row(table, id, dim);
                inverse[at] = inverse_length(from);
                for (to, x) in unit[at * wide..].iter_mut().zip(from) {
                    *to = x * inverse[at];
                }
            }
            for (unit, across) in unit.chunks(PANEL * wide).zip(across.chunks_mut(PANEL * wide)) {
                for (k, line) in across.chunks_mut(PANEL).enumerate() {
                    for (to, from) in line.iter_mut().zip(unit.chunks(wide)) {
                        *to = from[k];
                    }
                }
            }
        });
}

impl Kept {
    /// Backward: writes ∂ of the pooled histories' items, the targets and the negatives into
    /// `values`; returns ∂kernel and ∂bias.
    pub fn backward(&mut self, level: Level, scale: f32, values: &mut [f32]) -> [Tensor; 2] {
        let Shape { batch, dim, wide, .. } = self.shape;
        let (of_users, of_negatives) = values.split_at_mut(2 * batch * dim);
        let (of_histories, of_targets) = of_users.split_at_mut(batch * dim);
        of_negatives
            .par_chunks_mut(NEGATIVES * dim)
            .zip(self.negative.par_chunks(NEGATIVES * wide))
            .zip(self.negative_gradient.par_chunks(NEGATIVES * wide))
            .zip(self.negative_inverse.par_chunks(NEGATIVES))
            .for_each(|(((to, unit), gradient), inverse)| {
                for (at, to) in to.chunks_mut(dim).enumerate() {
                    let part = at * wide..(at + 1) * wide;
                    through_unit(to, &gradient[part.clone()], &unit[part], inverse[at], 1.0);
                }
            });
        let kernel_across = &self.kernel_across;
        self.user_gradient
            .par_chunks_mut(USERS * wide)
            .zip(of_histories.par_chunks_mut(USERS * dim))
            .zip(of_targets.par_chunks_mut(USERS * dim))
            .zip(self.users.par_chunks(USERS))
            .zip(self.user.par_chunks(USERS * wide))
            .zip(self.target.par_chunks(USERS * wide))
            .zip(self.target_gradient.par_chunks(USERS * wide))
            .for_each(|((((((gradient, history), of_target), users), user), target), target_g)| {
                for (at, own) in users.iter().enumerate() {
                    let part = at * wide..(at + 1) * wide;
                    let (unit, from) = (&target[part.clone()], &target_g[part.clone()]);
                    let to = &mut of_target[at * dim..][..dim];
                    through_unit(to, from, unit, own.target_inverse, 1.0);
                    // `user` is γ·û and `gradient` of γ·û.
                    let (gradient, user) = (&mut gradient[part.clone()], &user[part]);
                    let along = dot(gradient, user) / (scale * scale);
                    for (g, u) in gradient.iter_mut().zip(user) {
                        *g = scale * own.inverse * (*g - u * along);
                    }
                }
                let mut pooled = vec![0.0; users.len() * wide];
                let left = Matrix { at: gradient.as_ptr(), row: wide, column: 1 };
                let right = Matrix { at: kernel_across.as_ptr(), row: wide, column: 1 };
                let shape = [users.len(), wide, dim];
                // SAFETY: gradient `[users, wide]`, kernel `[dim, wide]`, pooled `[users, wide]`.
                unsafe { gemm(level, shape, left, right, pooled.as_mut_ptr(), wide, false) };
                for (at, own) in users.iter().enumerate() {
                    for (to, g) in history[at * dim..][..dim].iter_mut().zip(&pooled[at * wide..]) {
                        *to = g * own.share;
                    }
                }
            });
        let mut kernel = vec![0.0; dim * wide];
        let left = Matrix { at: self.pooled.as_ptr(), row: 1, column: wide };
        let right = Matrix { at: self.user_gradient.as_ptr(), row: wide, column: 1 };
        // SAFETY: pooledᵀ `[dim, batch]`, gradient `[batch, wide]`, kernel `[dim, wide]`.
        unsafe {
            gemm(level, [dim, wide, batch], left, right, kernel.as_mut_ptr(), wide, false);
        }
        let mut bias = vec![0.0; wide];
        self.user_gradient.chunks(wide).for_each(|gradient| add(&mut bias, gradient));
        let size = dim as i64;
        let kernel =
            Tensor::from_slice(&kernel).view([size, wide as i64]).narrow(1, 0, size).contiguous();
        [kernel, Tensor::from_slice(&bias[..dim])]
    }
}

/// ∂x of y = unit(x) = inverse·x, times `scale`, from ∂y and y.
fn through_unit(to: &mut [f32], gradient: &[f32], unit: &[f32], inverse: f32, scale: f32) {
    let along = dot(gradient, unit);
    for ((to, g), y) in to.iter_mut().zip(gradient).zip(unit) {
        *to = scale * inverse * (g - y * along);
    }
}

/// As [`crate::tower::unit`].
fn inverse_length(x: &[f32]) -> f32 {
    1.0 / (dot(x, x) + 1e-8).sqrt()
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, x)| *to += x);
}

/// In eight sums, so that the compiler can use vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let (a_parts, b_parts) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_parts.remainder().iter().zip(b_parts.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a_parts.zip(b_parts) {
        for (sum, (x, y)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn row(table: &[f32], id: i64, dim: usize) -> &[f32] {
    &table[id as usize * dim..][..dim]
}

fn prefetch(table: &[f32], id: i64, dim: usize) {
    let at = table.as_ptr().wrapping_add(id as usize * dim);
    (0..dim).step_by(16).for_each(|k| simd::prefetch(at.wrapping_add(k)));
}
