//! Configurations that nobody would write, and `--set` of anything.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use toml::{Table, Value};

use super::*;

/// The words that a key takes, as the error of another one lists them.
fn words(key: &str) -> Vec<String> {
    let value = match key.strip_prefix("sampling.negatives.") {
        // Of a list of tables.
        Some(_) => {
            return ["uniform", "popularity", "in-batch", "batch", "session", "event"]
                .map(String::from)
                .into();
        }
        None => Value::String("?".into()),
    };
    let mut table = Table::new();
    let mut layer = Layer::default();
    layer.add(key, &value).unwrap();
    layer.lay_over(&mut table).unwrap();
    let Err(error) = from_table(table, "") else { return vec![] };
    let said = format!("{error:#}");
    let known =
        said.split_once("known here: ").map_or("", |(_, known)| known.trim_end_matches(')'));
    known.split(", ").filter(|word| !word.is_empty()).map(String::from).collect()
}

fn any_number() -> impl Strategy<Value = Value> {
    let whole = prop_oneof![6 => 0i64..40, 1 => select(vec![-1, 512, 1 << 24, i64::MAX, i64::MIN])];
    let ordinary = select(vec![0.0, 0.1, 0.5, 0.9, 1.0, 1.5, 20.0]);
    let strange = select(vec![-1.0, -0.0, 1e-300, 1e300, f64::NAN, f64::INFINITY]);
    prop_oneof![
        whole.prop_map(Value::Integer),
        ordinary.prop_map(Value::Float),
        strange.prop_map(Value::Float),
    ]
}

fn any_source() -> impl Strategy<Value = Value> {
    let word = |of: &[&str]| select(of.iter().map(|word| word.to_string()).collect::<Vec<_>>());
    let from = word(&["uniform", "popularity", "in-batch"]);
    let per = word(&["batch", "session", "event"]);
    (from, 0i64..30, per, prop::option::weighted(0.2, any_number())).prop_map(
        |(from, count, per, power)| {
            let mut source = Table::new();
            source.insert("from".into(), Value::String(from));
            source.insert("count".into(), Value::Integer(count));
            source.insert("per".into(), Value::String(per));
            power.into_iter().for_each(|power| drop(source.insert("power".into(), power)));
            Value::Table(source)
        },
    )
}

/// What a key may be given: most often something of its kind.
fn any_value(key: &str) -> BoxedStrategy<Value> {
    let mut own = vec![any_number().boxed(), any::<bool>().prop_map(Value::Boolean).boxed()];
    let known = words(key);
    if !known.is_empty() {
        own = vec![select(known).prop_map(Value::String).boxed()];
    }
    let lists = vec((1i64..60).prop_map(Value::Integer), 0..4).prop_map(Value::Array);
    let strange = prop_oneof![
        ".{0,8}".prop_map(Value::String),
        any_number(),
        lists.clone(),
        Just(Value::Table(Table::new())),
        Just(Value::Datetime("1979-05-27".parse().unwrap())),
    ];
    if key == "evaluation.at" {
        own = vec![lists.boxed()];
    }
    if key == "train.monitor" {
        let metrics =
            ["recall@20", "ndcg@5", "hitrate@1", "mrr@20", "last-mrr@20", "recall@0", "x"];
        own = vec![select(metrics.to_vec()).prop_map(|name| Value::String(name.into())).boxed()];
    }
    prop_oneof![12 => proptest::strategy::Union::new(own), 1 => strange].boxed()
}

/// A few keys with values.
fn any_tree() -> impl Strategy<Value = Vec<(String, Value)>> {
    // A source is written as a whole.
    let mut all: Vec<String> =
        keys().into_iter().filter(|key| !key.starts_with("sampling.negatives.")).collect();
    all.retain(|key| key != "data.path");
    let keyed = all.into_iter().map(|key| {
        let name = key.clone();
        any_value(&key).prop_map(move |value| (name.clone(), value)).boxed()
    });
    let sources = vec(any_source(), 0..3)
        .prop_map(|all| ("sampling.negatives".to_owned(), Value::Array(all)));
    let one = prop_oneof![40 => proptest::strategy::Union::new(keyed), 2 => sources];
    vec(one, 0..7)
}

fn read(entries: &[(String, Value)]) -> Result<Config> {
    let mut layer = Layer::default();
    for (key, value) in entries {
        layer.add(key, value)?;
    }
    let mut table: Table = "data.path = \"x\"".parse()?;
    layer.lay_over(&mut table)?;
    let size = |_: &std::path::Path| Ok(LogSize { users: 3, interactions: 20 });
    from_table(table, "--set")?.fitted(size)?.checked()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_accepted_comes_back_as_it_was_and_what_is_not_is_named(entries in any_tree()) {
        match read(&entries) {
            Ok(config) => {
                let text = toml::to_string(&config).unwrap();
                let again = toml::from_str::<Settings>(&text).unwrap().checked().unwrap();
                prop_assert_eq!(&again, &config, "{}", text);
                prop_assert_eq!(toml::to_string(&again).unwrap(), text);
            }
            Err(error) => {
                let said = format!("{error:#}");
                prop_assert_eq!(crate::error::exit_status(&error), 2, "{}", said);
                let named = |(key, _): &(String, Value)| {
                    let last = key.rsplit('.').next().unwrap_or(key);
                    said.contains(last)
                };
                prop_assert!(entries.iter().any(named), "{}", said);
            }
        }
    }

    #[test]
    fn anything_may_stand_behind_set(
        sets in vec(prop_oneof![".{0,12}", "[a-z.]{0,9}=[a-z0-9\\[\\]{}\"'=.,# \n-]{0,12}"], 0..4),
    ) {
        let mut table: Table = "data.path = \"x\"".parse().unwrap();
        let laid = Layer::of_sets(&sets).and_then(|layer| layer.lay_over(&mut table));
        let read = laid.and_then(|()| from_table(table, "--set")).and_then(Settings::checked);
        if let Err(error) = read {
            prop_assert_eq!(crate::error::exit_status(&error), 2, "{:#}", error);
        }
    }
}
