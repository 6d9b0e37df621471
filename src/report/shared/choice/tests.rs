//! What is chosen of invented runs, against what is counted by hand.

use super::*;
use crate::config::Seen;
use crate::report::shared::fixtures::{case_run as run, found};
use crate::report::shared::statistics::Interval;
use crate::sweep::Status;

fn choose(points: &[PointResult], by: Option<&str>) -> Result<Choice> {
    Choice::of(&Study::of(points).unwrap(), by.map(|by| by.parse().unwrap()))
}

fn both(at100: f64, at50: f64) -> [(&'static str, f64); 2] {
    [("recall@100", at100), ("recall@50", at50)]
}

/// The monitor is recall@100. Validation prefers `a`, test `d`; `b` finds what `a` finds for 19 of its
/// 20 users, `c` for none.
#[test]
fn validation_chooses_and_test_says_where_the_others_stand() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str, share, ranks: usize| {
        run(dir.path(), name, 1, &both(share, 0.5 - share), &found(ranks))
    };
    let points = [of("c", 0.1, 0), of("b", 0.3, 19), of("a", 0.4, 20), of("d", 0.2, 40)];
    let choice = choose(&points, None).unwrap();
    assert_eq!((choice.by.to_string(), choice.by), ("recall@100".into(), choice.monitor.unwrap()));
    let names: Vec<&str> = choice.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "d", "c"]);
    assert_eq!(
        (choice.chosen().validation, choice.chosen().test),
        ((0.4, None), Some((0.5, None)))
    );
    use Standing::{Ahead, Behind, Chosen, WithinNoise};
    for (standing, name) in [(Chosen, "a"), (WithinNoise, "b"), (Ahead, "d"), (Behind, "c")] {
        assert_eq!(choice.names(standing), [name]);
    }
    // One user of 40 tells `a` and `b` apart.
    let differences: Vec<f64> = (0..40).map(|user| f64::from(user == 19)).collect();
    let expected = Interval::of_mean(&differences).unwrap();
    let paired = choice.cases[1].compared.clone().unwrap().unwrap();
    assert!(
        (paired.interval.low - expected.low).abs() < 1e-12
            && (paired.interval.p - expected.p).abs() < 1e-12
    );
    assert!(choice.unknown_noise().is_some());
    // By another metric another is chosen.
    let choice = choose(&points, Some("recall@50")).unwrap();
    assert_eq!((choice.chosen().name.as_str(), choice.chosen().validation.0), ("c", 0.4));
    assert_eq!(choice.monitor.unwrap().to_string(), "recall@100");
    let mut points = points;
    points[1].config.train.monitor = "recall@50".parse().unwrap();
    assert_eq!(choose(&points, Some("recall@50")).unwrap().monitor, None, "they differ in it");
}

/// `a` has one seed that is the best of all, and a lower mean than `b`: 0.3 against 0.35.
#[test]
fn seeds_are_one_case_by_their_mean() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str, seed, share, ranks: usize| {
        run(dir.path(), name, seed, &both(share, 0.0), &found(ranks))
    };
    let mut points = vec![
        of("a", 1, 0.5, 20),
        of("a", 2, 0.1, 24),
        of("b", 1, 0.3, 20),
        of("b", 2, 0.4, 22),
        of("b", 3, 0.9, 40),
        of("c", 1, 0.9, 40),
    ];
    points[4].status = Status::Failed("out of memory".into());
    points[5].status = Status::Missing;
    let choice = choose(&points, None).unwrap();
    assert_eq!(choice.cases.len(), 2);
    let (b, a) = (&choice.cases[0], &choice.cases[1]);
    assert_eq!((b.name.as_str(), a.name.as_str()), ("b", "a"));
    assert!((b.validation.0 - 0.35).abs() < 1e-12);
    assert!((b.validation.1.unwrap() - 0.005f64.sqrt()).abs() < 1e-12);
    assert!((b.test.unwrap().0 - 21.0 / 40.0).abs() < 1e-12);
    assert_eq!((b.seeds, a.seeds), (3, 2));
    assert_eq!(b.runs, [points[3].run.clone(), points[2].run.clone()]);
    // −0 and −2 of 40 users; test shares of 0.5, 0.6 and of 0.5, 0.55 differ by √0.00625 in sum.
    let paired = a.compared.clone().unwrap().unwrap();
    assert!((paired.interval.estimate + 1.0 / 40.0).abs() < 1e-12);
    assert!(paired.wide.is_some() && choice.unknown_noise().is_none());
}

#[test]
fn of_equals_the_first_in_the_file_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| run(dir.path(), name, 1, &both(0.25, 0.0), &found(9));
    assert_eq!(choose(&[of("b"), of("a")], None).unwrap().chosen().name, "b");
}

#[test]
fn what_cannot_be_compared_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str, ranks: &[u64]| run(dir.path(), name, 1, &both(0.25, 0.0), ranks);
    let points = [of("a", &found(9)), of("b", &found(9)[..30])];
    let choice = choose(&points, None).unwrap();
    assert_eq!(choice.names(Standing::NotCompared), ["b"]);
    let reason = choice.cases[1].compared.clone().unwrap().unwrap_err();
    assert!(reason.contains("other users"), "{reason}");
}

#[test]
fn what_cannot_be_chosen_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| run(dir.path(), name, 1, &both(0.25, 0.0), &found(9));
    let refused = |points: &[PointResult], by, words: &[&str]| {
        let error = choose(points, by).unwrap_err();
        assert_eq!(crate::error::exit_status(&error), 2);
        let text = error.to_string();
        words.iter().for_each(|word| assert!(text.contains(word), "{word}: {text}"));
    };
    refused(&[], None, &["run croloss sweep first"]);
    let mut points = [of("a"), of("b")];
    refused(&points, Some("ndcg@50"), &["ndcg@50", "recall@100, recall@50"]);
    points[1].config.train.monitor = "recall@50".parse().unwrap();
    refused(&points, None, &["recall@50, recall@100", "croloss best --by METRIC"]);
    assert!(choose(&points, Some("recall@50")).is_ok());
    points[1].config.evaluation.seen = Seen::Exclude;
    refused(&points, Some("recall@50"), &["evaluation.seen", "--only"]);
    // What only some have is not there to choose by.
    let mut points = [of("a"), of("b")];
    if let Status::Done(result) = &mut points[1].status {
        result.validation.truncate(1);
    }
    refused(&points, Some("recall@50"), &["recall@50 was not measured", "by all was: recall@100"]);
}
