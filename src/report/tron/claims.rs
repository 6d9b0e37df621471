//! What TRON's paper claims, and whether it holds on this data.

use super::models::{KnownModel, Models, deciding};
use crate::config::{Metric, MetricKind};
use crate::report::shared::claim::{Claim, Verdict, compared_text, of_sign, sign};
use crate::report::shared::compare::compare;
use crate::report::shared::statistics::mean_sd;
use crate::report::shared::study::Variant;
use crate::train::RunResult;

/// The share of SASRec's speed from which on TRON's is similar.
const SIMILAR: f64 = 0.9;

/// Every claim of TRON's paper, answered from these points; none where the sweep has no TRON.
pub fn claims(models: &Models) -> Vec<Claim> {
    if models.find(KnownModel::Tron).is_none() {
        return vec![];
    }
    let baselines = [KnownModel::Sasrec, KnownModel::Gru4rec];
    let metrics = deciding(models.study);
    let better = |&other| metrics.iter().map(move |&metric| above(models, other, metric));
    let mut all: Vec<Claim> = baselines.iter().flat_map(better).collect();
    all.push(speed(models));
    all
}

fn described(known: KnownModel) -> &'static str {
    match known {
        KnownModel::Sasrec => "SASRec (binary cross-entropy)",
        other => other.name(),
    }
}

fn above(models: &Models, other: KnownModel, metric: Metric) -> Claim {
    let name = match metric.kind {
        MetricKind::Mrr => format!("MRR@{}", metric.at),
        _ => format!("Recall@{}", metric.at),
    };
    let (verdict, numbers) = match pair(models, other) {
        Err(why) => (Verdict::NotDecided, vec![why]),
        Ok(pair) => {
            let values = pair.map(|variant| value_text(variant, metric)).join(" against ");
            let compared = compare(models.study, pair, metric);
            let numbers =
                vec![names(models, pair), format!("{name}: {values}"), compared_text(&compared)];
            (of_sign(sign(&compared)), numbers)
        }
    };
    Claim {
        statement: format!("TRON is above {} in {name}", described(other)),
        rule: format!(
            "Holds if the 95 % interval of the paired difference of {name} is above zero and every seed's difference is too; does not hold if both are below; else not decided."
        ),
        verdict,
        numbers,
    }
}

fn speed(models: &Models) -> Claim {
    let (verdict, numbers) = match pair(models, KnownModel::Sasrec) {
        Err(why) => (Verdict::NotDecided, vec![why]),
        Ok(pair) => {
            let (verdict, text) = similar(pair);
            (verdict, vec![names(models, pair), text])
        }
    };
    Claim {
        statement: "TRON trains at a speed similar to SASRec's".into(),
        rule: format!(
            "Training sessions a second: steps × batch over the seconds of the steps, validations left out, mean over seeds. “Similar” is taken as at least {SIMILAR} times SASRec's: then it holds, else it does not; not decided where they ran on different devices or with different threads. Other work on the machine blurs it."
        ),
        verdict,
        numbers,
    }
}

fn similar(pair: [&Variant; 2]) -> (Verdict, String) {
    let machines = |variant: &Variant| {
        let of = |o: &RunResult| (o.device.clone(), o.threads);
        let mut all: Vec<_> = variant.done().filter_map(|p| p.result().map(of)).collect();
        all.sort();
        all.dedup();
        all
    };
    let speeds = pair.map(sessions_per_second);
    let [Some(tron), Some(sasrec)] = speeds else {
        return (Verdict::NotDecided, "one of them is not done".into());
    };
    let text =
        format!("{tron:.0} against {sasrec:.0} sessions a second: {:.2} times", tron / sasrec);
    match () {
        () if machines(pair[0]) != machines(pair[1]) => {
            (Verdict::NotDecided, text + ", on different devices or with different threads")
        }
        () if tron >= SIMILAR * sasrec => (Verdict::Holds, text),
        () => (Verdict::DoesNotHold, text),
    }
}

/// Training sessions a second, the mean over seeds.
fn sessions_per_second(variant: &Variant) -> Option<f64> {
    let batch = variant.config.sampling.batch as f64;
    let results = variant.done().filter_map(|point| point.result());
    let speeds: Vec<f64> = results
        .filter(|o| o.train_seconds > 0.0)
        .map(|o| o.steps as f64 * batch / o.train_seconds)
        .collect();
    Some(mean_sd(&speeds)?.0)
}

/// TRON and `other`.
fn pair<'a, 'p>(
    models: &Models<'a, 'p>,
    other: KnownModel,
) -> Result<[&'a Variant<'p>; 2], String> {
    let none = || format!("the sweep has no {}", described(other));
    let tron = models.find(KnownModel::Tron).ok_or("the sweep has no TRON")?;
    Ok([tron, models.find(other).ok_or_else(none)?])
}

fn names(models: &Models, [a, b]: [&Variant; 2]) -> String {
    format!("{} against {}", models.name(a), models.name(b))
}

/// `50.29 %`: the mean over seeds.
fn value_text(variant: &Variant, metric: Metric) -> String {
    let mean = mean_sd(&variant.test(metric));
    mean.map_or("not done".into(), |(mean, _)| format!("{:.2} %", 100.0 * mean))
}
