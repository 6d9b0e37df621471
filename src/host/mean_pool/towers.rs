//! Both towers forward and backward, row by row.

use rayon::prelude::*;
use tch::Tensor;

use super::kept::{Kept, Shape, User};
use crate::host::kernels::PANEL;
use crate::host::simd::{self, Level, Matrix, gemm};
use crate::host::unit::inverse_length;

/// Users a task, and negatives a task.
const USERS: usize = 32;
const NEGATIVES: usize = 128;

/// What the towers are computed from.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    /// `[items + 1, dim]`
    pub table: &'a [f32],
    /// `[dim, wide]`
    pub kernel: &'a [f32],
    /// `[dim]`
    pub bias: &'a [f32],
    /// γ, and the ε of unit length.
    pub scale: f32,
    pub epsilon: f32,
}

/// Forward, from (histories' items, where each history begins, targets): pooled, γ·û, t̂.
pub fn users(
    level: Level,
    shape: Shape,
    Weights { table, kernel, bias, scale, epsilon }: Weights,
    (items, starts, targets): (&[i64], &[u32], &[i64]),
    (users, pooled, user, target): (&mut [User], &mut [f32], &mut [f32], &mut [f32]),
) {
    let Shape { dim, wide, .. } = shape;
    users
        .par_chunks_mut(USERS)
        .zip(pooled.par_chunks_mut(USERS * wide))
        .zip(user.par_chunks_mut(USERS * wide))
        .zip(target.par_chunks_mut(USERS * wide))
        .zip(targets.par_chunks(USERS))
        .enumerate()
        .for_each(|(task, ((((users, pooled), user), target), targets))| {
            for (at, own) in users.iter_mut().enumerate() {
                let sum = &mut pooled[at * wide..][..dim];
                sum.fill(0.0);
                let [from, to] = [0, 1].map(|next| starts[task * USERS + at + next] as usize);
                let history = &items[from..to];
                for (place, &id) in history.iter().enumerate() {
                    if let Some(&ahead) = history.get(place + 4) {
                        prefetch(table, ahead, dim);
                    }
                    add(sum, row(table, id, dim));
                }
                own.share = 1.0 / history.len().max(1) as f32;
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
                own.inverse = inverse_length(dot(user, user), epsilon);
                user.iter_mut().for_each(|x| *x *= own.inverse * scale);
                let from = row(table, targets[at], dim);
                own.target_inverse = inverse_length(dot(from, from), epsilon);
                for (to, x) in target.iter_mut().zip(from) {
                    *to = x * own.target_inverse;
                }
                own.positive = dot(user, &target[..wide]);
            }
        });
}

/// Forward, from their ids: n̂, 1/|n| and n̂ᵀ by panels.
pub fn negatives(
    shape: Shape,
    Weights { table, epsilon, .. }: Weights,
    ids: &[i64],
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
                inverse[at] = inverse_length(dot(from, from), epsilon);
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
