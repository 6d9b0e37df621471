//! What is left of a row's movement after its last gradient, as a function of when that was.
//!
//! With a zero gradient at each step s = t₀ + k, Adam moves an element by −rate_s·m_k / (√v_k +
//! ε_s) with m_k = β₁ᵏ·m and √v_k = β₂^(k/2)·√v. With the weights a_k = rate_s·(β₁/√β₂)ᵏ and the
//! values b_k = ε_s·β₂^(−k/2) the whole way is −m·Σ a_k / (√v + b_k). The b_k differ little where
//! a_k counts, so their mean ε̄ = Σ a_k·b_k / Σ a_k can stand for them all:
//!
//! way = −m·G / (√v + ε̄),  G = Σ a_k
//!
//! With x = ε̄/√v and q the squared spread of the b_k (variance / mean²), the part that this leaves
//! out is q·x²/(1+x)³ of the way at most: never more than 4/27·q. For the TensorFlow form and the
//! usual β q is 2e-5. In PyTorch's form ε_s grows in the first hundreds of steps and q is large
//! there: then elements with q·x² above [`ALLOWED`] are told apart and replayed step by step.

use std::collections::VecDeque;

use super::rule::Rule;

/// The part of a way that may be missing.
const ALLOWED: f64 = 1e-5;

/// The weight below which what is left of a way is nothing in float32.
const NOTHING: f64 = 1e-9;

/// The rest of the way of a row last moved at one step; and that step's own move.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tail {
    /// G
    pub weight: f32,
    /// ε̄
    pub epsilon: f32,
    /// Elements whose v is below this, and m not 0, are replayed.
    pub near: f32,
    /// rate_s and ε_s of the step itself.
    pub rate: f32,
    pub own_epsilon: f32,
}

/// The tails of all steps so far.
pub struct Tails {
    rule: Rule,
    /// (β₁/√β₂)ᵏ, (β₁/β₂)ᵏ and (β₁/β₂^1.5)ᵏ for k from 1 on, until nothing is left.
    powers: Vec<[f64; 3]>,
    /// β₁ⁿ and β₂ⁿ for n from 0 on.
    decays: Vec<[f32; 2]>,
    /// Σ a, Σ a·b and Σ a·b² of the youngest steps, oldest first: older ones stay as they are.
    growing: VecDeque<[f64; 3]>,
    /// Of the steps 0, 1, ..., now.
    tails: Vec<Tail>,
    last_near: i64,
    settled: i64,
}

impl Tails {
    /// At step 0.
    pub fn new(rule: &Rule) -> Self {
        let (beta1, beta2) = rule.betas();
        let base = [beta1 / beta2.sqrt(), beta1 / beta2, beta1 / beta2.powf(1.5)];
        let powers = std::iter::successors(Some(base), |last| {
            (last[0] > NOTHING).then(|| std::array::from_fn(|i| last[i] * base[i]))
        });
        let decays = (0..4096).map(|n| [beta1, beta2].map(|beta| beta.powi(n) as f32));
        Self {
            rule: rule.clone(),
            powers: powers.collect(),
            decays: decays.collect(),
            growing: VecDeque::from([[0.0; 3]]),
            tails: vec![Tail { epsilon: rule.at(1).1 as f32, ..Tail::default() }],
            last_near: -1,
            settled: 0,
        }
    }

    /// The step that is done.
    pub fn now(&self) -> i64 {
        self.tails.len() as i64 - 1
    }

    /// Counts one step more: each young tail grows by one term.
    pub fn advance(&mut self) {
        let now = self.now() + 1;
        let (rate, epsilon) = self.rule.at(now);
        let young = self.growing.len();
        let first = self.tails.len() - young;
        for (at, sums) in self.growing.iter_mut().enumerate() {
            let powers = self.powers[young - 1 - at];
            let weights = [rate, rate * epsilon, rate * epsilon * epsilon];
            *sums = std::array::from_fn(|i| sums[i] + weights[i] * powers[i]);
            let tail = &mut self.tails[first + at];
            tail.weight = sums[0] as f32;
            if sums[0] > 0.0 {
                let mean = sums[1] / sums[0];
                let spread = (sums[0] * sums[2] / (sums[1] * sums[1]) - 1.0).max(0.0);
                let replayed = 4.0 / 27.0 * spread > ALLOWED;
                tail.epsilon = mean as f32;
                tail.near = if replayed { (mean * mean * spread / ALLOWED) as f32 } else { 0.0 };
                if replayed {
                    self.last_near = self.last_near.max((first + at) as i64);
                }
            }
        }
        if young == self.powers.len() {
            self.growing.pop_front();
        }
        self.growing.push_back([0.0; 3]);
        if self.last_near >= 0 && now == self.last_near + self.powers.len() as i64 + 1 {
            self.settled = now;
        }
        let (rate, own_epsilon) = (rate as f32, epsilon as f32);
        self.tails.push(Tail { rate, own_epsilon, epsilon: own_epsilon, ..Tail::default() });
    }

    /// The tail of a row last moved at `step`.
    pub fn of(&self, step: i64) -> Tail {
        self.tails[step as usize]
    }

    /// The tails from step `from` to now.
    pub fn since(&self, from: usize) -> &[Tail] {
        &self.tails[from..]
    }

    /// Steps after which a tail no longer grows.
    pub fn length(&self) -> usize {
        self.powers.len()
    }

    /// The latest step so far whose tail asks for elements to be told apart; −1: none.
    pub fn last_near(&self) -> i64 {
        self.last_near
    }

    /// The latest step at which every tail that asks for elements to be told apart had ceased to grow;
    /// 0: none yet.
    pub fn settled(&self) -> i64 {
        self.settled
    }

    /// β₁ⁿ and β₂ⁿ.
    pub fn decay(&self, n: i64) -> [f32; 2] {
        let (beta1, beta2) = self.rule.betas();
        let known = self.decays.get(n as usize).copied();
        known.unwrap_or_else(|| [beta1, beta2].map(|beta| beta.powf(n as f64) as f32))
    }
}
