//! How far Adam moves at each step: bias correction, ε and the learning rate's schedule.

use crate::config::{EpsilonForm, OptimizerConfig, ScheduleKind};

/// Adam's numbers, and its learning rate as a function of the step.
#[derive(Clone, Debug)]
pub struct Rule {
    config: OptimizerConfig,
    /// The steps of the whole training.
    steps: u64,
}

impl Rule {
    /// The rule over `steps` steps.
    pub fn over(config: &OptimizerConfig, steps: u64) -> Self {
        Self { config: config.clone(), steps }
    }

    /// β₁ and β₂.
    pub fn betas(&self) -> (f64, f64) {
        (self.config.beta1, self.config.beta2)
    }

    /// ε as the configuration has it.
    pub fn epsilon(&self) -> f64 {
        self.config.epsilon
    }

    /// The learning rate of `step`, counted from 1.
    pub fn learning_rate(&self, step: i64) -> f64 {
        let OptimizerConfig { learning_rate, schedule, warmup_steps, .. } = self.config;
        let (step, warmup) = (step as f64, warmup_steps as f64);
        if step <= warmup {
            return learning_rate * step / warmup;
        }
        match schedule {
            ScheduleKind::Constant => learning_rate,
            ScheduleKind::Cosine => {
                let done = (step - 1.0 - warmup) / (self.steps as f64 - warmup);
                learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
            }
        }
    }

    /// (rate, ε) of `step`, counted from 1: a step moves by −rate·m / (√v + ε), for both forms of
    /// ε: PyTorch's √(v/c₂²) + ε is (√v + ε·c₂)/c₂.
    pub fn at(&self, step: i64) -> (f64, f64) {
        let OptimizerConfig { beta1, beta2, epsilon, epsilon_form, .. } = self.config;
        let correction1 = 1.0 - beta1.powf(step as f64);
        let correction2 = (1.0 - beta2.powf(step as f64)).sqrt();
        let epsilon = match epsilon_form {
            EpsilonForm::Tensorflow => epsilon,
            EpsilonForm::Pytorch => epsilon * correction2,
        };
        (self.learning_rate(step) * correction2 / correction1, epsilon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_rises_stays_and_falls() {
        let rate = |schedule, warmup_steps, step| {
            let config = OptimizerConfig { schedule, warmup_steps, ..Default::default() };
            Rule::over(&config, 110).learning_rate(step) / config.learning_rate
        };
        for step in [1, 50, 110] {
            assert_eq!(rate(ScheduleKind::Constant, 0, step), 1.0);
        }
        for (step, expected) in [(1, 0.1), (5, 0.5), (10, 1.0), (11, 1.0), (61, 0.5)] {
            assert!((rate(ScheduleKind::Cosine, 10, step) - expected).abs() < 1e-12, "{step}");
        }
        let last = rate(ScheduleKind::Cosine, 10, 110);
        assert!(last > 0.0 && last < 1e-3);
    }
}
