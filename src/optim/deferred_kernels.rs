//! Deferred Adam by kernels of our own (`device/kernels.cu`), on a GPU and in float32: what
//! [`super::deferred_tensors`] defines, in five launches a step. Nothing is read back.

use tch::{Kind, Tensor};

use super::deferred_tensors::Rows;
use crate::device::{Argument, Kernels};

use Argument::{Double, Float, Int, Long, Maybe, Numbers};

/// Numbers that the way of a row to the present depends on.
const OF_WAY: i64 = 5;

/// As [`Rows::catch_up`].
pub fn catch_up(kernels: Kernels, rows: &Rows, ids: &Tensor) {
    let (places, dim) = (ids.size()[0], rows.table.size()[1]);
    let (now, (beta1, beta2)) = (rows.tails.now(), rows.rule.betas());
    let (tails, device) = (rows.known.tails(), ids.device());
    let left = Tensor::empty([places], (Kind::Int, device));
    let ways = Tensor::empty([places, OF_WAY], (Kind::Float, device));
    let arguments = [
        Numbers(ids),
        Numbers(rows.last),
        Numbers(tails),
        Numbers(rows.moments),
        Numbers(&left),
        Numbers(&ways),
        Long(places),
        Int(dim),
        Int(now),
        Double(beta1),
        Double(beta2),
        Maybe(rows.clock),
    ];
    kernels.launch(c"croloss_take", places, &arguments);
    let arguments = [
        Numbers(ids),
        Numbers(&left),
        Numbers(&ways),
        Numbers(tails),
        Numbers(&rows.table),
        Numbers(rows.moments),
        Long(places * dim),
        Int(dim),
        Int(now),
        Int(rows.tails.length() as i64),
        Float(beta1),
        Float(beta2.sqrt()),
        Maybe(rows.clock),
    ];
    kernels.launch(c"croloss_bring", places * dim, &arguments);
}

/// As [`Rows::step`].
pub fn step(kernels: Kernels, rows: &Rows, ids: &Tensor, values: &Tensor) {
    let (places, dim) = (ids.size()[0], rows.table.size()[1]);
    let numbers = places * dim;
    let now = rows.tails.now() + 1;
    let (rate, epsilon) = rows.rule.at(now);
    let (beta1, beta2) = rows.rule.betas();
    let of_rows = rows.known.places();
    let sums = Tensor::empty([places, dim], (Kind::Float, ids.device()));
    let arguments = [Numbers(ids), Numbers(of_rows), Numbers(&sums), Long(numbers), Int(dim)];
    kernels.launch(c"croloss_begin", numbers, &arguments);
    let arguments =
        [Numbers(ids), Numbers(of_rows), Numbers(values), Numbers(&sums), Long(numbers), Int(dim)];
    kernels.launch(c"croloss_add", numbers, &arguments);
    let arguments = [
        Numbers(ids),
        Numbers(of_rows),
        Numbers(&sums),
        Numbers(&rows.table),
        Numbers(rows.moments),
        Numbers(rows.last),
        Long(numbers),
        Int(dim),
        Int(now),
        Float(1.0 - beta1),
        Float(beta2),
        Float(1.0 - beta2),
        Float(rate),
        Float(epsilon),
        Maybe(rows.clock),
    ];
    kernels.launch(c"croloss_move", numbers, &arguments);
}
