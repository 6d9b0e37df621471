//! Cold-recall: what `train` and `evaluate` say of the items that the split has set aside, against the
//! weights of the run.

use croloss::data::Dataset;
use croloss::export::Export;
use serde_json::Value;
use tch::{Device, Tensor};

use crate::common::json;
use crate::known::{Known, tied};
use crate::weights::{Weights, asked};

#[test]
fn cold_recall_is_that_of_the_run_s_weights_wherever_it_is_said() {
    let options = ["--split", "leave-one-out", "--cold-one-in", "5"];
    let known = Known::prepared(&tied(), &options);
    let (place, records) = (&known.place, &known.records);
    place.ok(&["export", "run", "--out", "towers"]);
    let Dataset { items, sequences, cold, .. } = Dataset::load(&place.path("data")).unwrap();
    assert!(items.iter().zip(records).all(|(item, record)| record["item"] == *item.original));
    let cold = cold.unwrap();
    let (count, targets) = (cold.items.len(), cold.targets.len());
    assert!(count > 20 && targets > 20, "{count} {targets}");

    let weights = Weights::of(&known, true);
    let vectors: Vec<Vec<f64>> =
        (1..).zip(records).map(|(id, record)| weights.vector(id, record)).collect();
    let tower = Export::open(&place.path("towers")).unwrap().user_tower(Device::Cpu).unwrap();
    let (mut among_all, mut among_cold) = (vec![], vec![]);
    for &(user, item) in &cold.targets {
        let history: Vec<i64> =
            sequences.get(user as usize).iter().map(|id| i64::from(*id)).collect();
        let user = asked(&tower, vec![Tensor::from_slice(&history).view([1, -1])]);
        let score = |id: u32| -> f64 {
            let vector = &vectors[id as usize - 1];
            vector.iter().zip(&user).map(|(x, y)| x * f64::from(*y)).sum()
        };
        let own = score(item);
        among_all.push((1..=vectors.len() as u32).filter(|id| score(*id) >= own).count());
        among_cold.push(cold.items.iter().filter(|id| score(**id) >= own).count());
    }
    assert!(among_cold.iter().any(|rank| *rank <= 10) && among_cold.iter().any(|rank| *rank > 10));

    let found = &json(&place.path("run/result.json"))["test_cold"];
    assert_eq!((&found["items"], &found["targets"]), (&count.into(), &targets.into()));
    let said = place.ok(&["evaluate", "run"]);
    let head = format!("{count} items that training has never met, {targets} of them to be found");
    assert!(said.contains(&head) && said.contains("cold-recall"), "{head}: {said}");
    assert!(known.said.contains("cold-recall"), "{}", known.said);
    for (key, title, ranks) in [
        ("among_cold", "among the cold items", &among_cold),
        ("among_all", "among all items", &among_all),
    ] {
        let row = said.lines().find(|line| line.starts_with(title)).expect(title);
        for at in [10, 50] {
            let hits = ranks.iter().filter(|rank| **rank <= at).count();
            let share = hits as f64 / targets as f64;
            let written = found[key][at.to_string()].as_f64().unwrap();
            assert!((written - share).abs() < 1e-12, "{key}@{at}: {written}, {share}");
            let cell = format!("{:.2}", 100.0 * share);
            assert!(row.contains(&cell) && known.said.contains(&cell), "{key}@{at} {cell}: {row}");
        }
    }
    let evaluated = |part: &str| -> Value {
        serde_json::from_str(&place.ok(&["evaluate", "run", "--split", part, "--json"])).unwrap()
    };
    assert_eq!(evaluated("test")["cold"], *found);
    assert!(evaluated("validation").get("cold").is_none());
}
