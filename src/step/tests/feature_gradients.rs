//! Gradients of all tables where items and users have features, against finite differences of a plain
//! loss in float64.

use std::collections::HashMap;
use std::iter::repeat_n;

use super::features::{FIELDS, OF_USERS, drawer, drawn, features, met, model, of, shares};
use super::*;
use crate::config::EncoderConfig;
use crate::loss::Scores;
use crate::model::Queries;

/// A batch, and whose each of its histories is.
type Given<'a> = (&'a Config, &'a Model, &'a Batch, &'a [usize]);

/// The loss of a batch as the tables alone make it: that of items, or the one that is read and the one
/// that is scored, then those of the values of items and of users.
fn plain((config, model, batch, users): Given, tables: &[Tensor]) -> f64 {
    let _guard = tch::no_grad_guard();
    let (by_item, of_values) = tables.split_at(tables.len() - 2);
    let of_items = shares(&features()).matmul(&of_values[0]);
    let of_users = shares(&of(SESSIONS)).matmul(&of_values[1]);
    let composition = batch.composition.as_ref().unwrap();
    let kept = Tensor::ones([ITEMS as i64 + 1, 1], (Kind::Double, Device::Cpu));
    let kept = match &composition.kept {
        Some(own) => kept.index_copy(0, &composition.ids, &own.to_kind(Kind::Double).unsqueeze(1)),
        None => kept,
    };
    let vectors = |own: &Tensor| {
        let biases = own.size()[1] - of_items.size()[1];
        own * &kept + of_items.constant_pad_nd([0, biases])
    };
    let [read, scored] = [&by_item[0], &by_item[by_item.len() - 1]].map(vectors);
    let ids = |places: &Tensor| composition.ids.index_select(0, &(places.view([-1]) - 1));

    let rows = read.index_select(0, &ids(&batch.inputs));
    let encoded = match config.tower.encoder {
        EncoderConfig::MeanPool => mean_pool(model, &rows, &batch.starts),
        _ => transformer(config.tower.history, model, &rows, &batch.starts),
    };
    let asking = users.iter().zip(batch.starts.windows(2)).flat_map(|(&user, own)| {
        let queries = if batch.queries == Queries::Every { own[1] - own[0] } else { 1 };
        repeat_n(user as i64 + 1, queries as usize)
    });
    let asking = Tensor::from_slice(&asking.collect::<Vec<_>>());
    let (normalize, scale) = (config.tower.normalize, config.tower.scale);
    let finish = |v: Tensor| {
        let length = (v.square().sum_dim_intlist(1, true, Kind::Double) + 1e-8).sqrt();
        if normalize { v / length } else { v }
    };
    let factor = if normalize { scale } else { 1.0 };
    let mut queries = finish(encoded + of_users.index_select(0, &asking)) * factor;
    if config.tower.output_bias {
        queries = Tensor::cat(&[&queries, &queries.narrow(1, 0, 1).ones_like()], 1);
    }
    let listed = |slots: &Tensor| ids(&batch.scored.index_select(0, slots));
    let items = |slots: &Tensor| finish(scored.index_select(0, &listed(slots)));
    let positive = (&queries * items(&batch.targets)).sum_dim_intlist(1, false, Kind::Double);
    let negative = queries.matmul(&items(&batch.shared).tr());
    let scores = Scores::all(positive, negative, ITEMS as f64);
    crate::loss::build(&config.loss).loss(&scores).double_value(&[])
}

/// `[histories, dim]`: one dense layer on the means of `rows`.
fn mean_pool(model: &Model, rows: &Tensor, starts: &[u32]) -> Tensor {
    let mean = |own: &[u32]| {
        let (from, end) = (i64::from(own[0]), i64::from(own[1]));
        rows.narrow(0, from, end - from).mean_dim(0, false, Kind::Double)
    };
    let means = Tensor::stack(&starts.windows(2).map(mean).collect::<Vec<_>>(), 0);
    let [kernel, bias] = [0, 1].map(|at| model.encoder.parameters()[at].1.to_kind(Kind::Double));
    means.matmul(&kernel) + bias
}

/// `[positions, dim]`: a Transformer of one layer and one head over `rows`.
fn transformer(history: usize, model: &Model, rows: &Tensor, starts: &[u32]) -> Tensor {
    let named: HashMap<&str, Tensor> = model.encoder.parameters().into_iter().collect();
    let part = |name: &str, what: &str| {
        let whole = named[format!("encoder.{name}.{what}").as_str()].to_kind(Kind::Double);
        // The dimension of layers goes.
        whole.squeeze_dim(0)
    };
    let apply = |name: &str, x: &Tensor| x.matmul(&part(name, "weight").tr()) + part(name, "bias");
    let dim = rows.size()[1];
    let norm = |name: &str, x: &Tensor| {
        let (weight, bias) = (part(name, "weight"), part(name, "bias"));
        x.layer_norm([dim], Some(&weight), Some(&bias), 1e-5, false)
    };
    // Padded at the end: what is behind a history is later than all of it, and not seen.
    let lengths: Vec<i64> = starts.windows(2).map(|own| i64::from(own[1] - own[0])).collect();
    let longest = *lengths.iter().max().unwrap();
    let (mut places, mut position_of, mut real) = (vec![], vec![], vec![]);
    for (number, (&length, &from)) in (0i64..).zip(lengths.iter().zip(starts)) {
        for at in 0..longest {
            if at < length {
                real.push(number * longest + at);
            }
            places.push(i64::from(from) + at.min(length - 1));
            // Of the latest click it is the last one.
            position_of.push(history as i64 - 1 - (length - 1 - at).max(0));
        }
    }
    let position = named["encoder.positions"].to_kind(Kind::Double);
    let position = position.index_select(0, &Tensor::from_slice(&position_of));
    let rows = rows.index_select(0, &Tensor::from_slice(&places)) * (dim as f64).sqrt();
    let x = (rows + position).view([lengths.len() as i64, longest, dim]);

    let parts = apply("attend", &norm("norm1", &x)).chunk(3, -1);
    let scores = parts[0].matmul(&parts[1].transpose(1, 2)) / (dim as f64).sqrt();
    let later = Tensor::ones([longest, longest], (Kind::Bool, Device::Cpu)).triu(1);
    let seen = scores.masked_fill(&later, f64::NEG_INFINITY).softmax(-1, None::<Kind>);
    let x = x + apply("combine", &seen.matmul(&parts[2]));
    let wide = apply("widen", &norm("norm2", &x)).relu();
    let x = x + apply("narrow", &wide);
    norm("norm", &x).view([-1, dim]).index_select(0, &Tensor::from_slice(&real))
}

/// Whose the histories of a batch are: of users each is the beginning of a sequence, which its target
/// goes on, of sessions a whole one but for its last item.
fn asked(sequences: &Sequences, batch: &Batch) -> Vec<usize> {
    let ids = &batch.composition.as_ref().unwrap().ids;
    let ids_of = |places: Tensor| {
        let ids = ids.index_select(0, &(places - 1));
        Vec::<i64>::try_from(ids).unwrap().into_iter().map(|id| id as u32).collect::<Vec<_>>()
    };
    let inputs = ids_of(batch.inputs.shallow_clone());
    let targets = ids_of(batch.scored.index_select(0, &batch.targets));
    let histories = batch.starts.windows(2).enumerate();
    let users = histories.map(|(at, own)| {
        let every = batch.queries == Queries::Every;
        let last = targets[if every { own[1] as usize - 1 } else { at }];
        let read = [&inputs[own[0] as usize..own[1] as usize], &[last]].concat();
        let fits = |user: &usize| match every {
            true => sequences.get(*user) == read,
            false => sequences.get(*user).starts_with(&read),
        };
        let fitting: Vec<usize> = (0..SESSIONS).filter(fits).collect();
        assert_eq!(fitting.len(), 1, "one user has this history");
        fitting[0]
    });
    users.collect()
}

/// Holds the gradients of every table, by loops and by tensor ops, to differences of the loss.
fn hold(mut config: Config, sequences: &Sequences) {
    for fused in [true, false] {
        config.train.fused = fused;
        let tower = &config.tower;
        let plan = Plan::of(&config, Device::Cpu);
        let batch = drawn(&drawer(&config, &plan, sequences), 3);
        let model = model(&config);
        let mut stepper = Stepper::new(&config, &plan, &model, 9, Vec::new);
        let gradients = stepper.gradients(&model, &batch, 3);
        let tables: Vec<Tensor> =
            model.tables().iter().map(|(_, own)| own.to_kind(Kind::Double)).collect();
        assert_eq!(gradients.tables.len(), tables.len());
        let users = asked(sequences, &batch);
        let case = (&config, &model, &batch, &users[..]);
        let loss = plain(case, &tables);
        assert!((loss - gradients.loss.double_value(&[])).abs() < 1e-4 * loss, "{tower:?}");
        for (at, gradient) in gradients.tables.iter().enumerate() {
            let whole = tables[at].zeros_like().to_kind(Kind::Float);
            let whole = whole.index_add(0, gradient.rows.ids(), &gradient.expanded());
            let (rows, columns) = tables[at].size2().unwrap();
            let mut moved = 0;
            for row in 0..rows {
                let column = row % columns;
                let shifted = |by: f64| {
                    let tables: Vec<Tensor> = tables.iter().map(Tensor::copy).collect();
                    let _ = tables[at]
                        .get(row)
                        .get(column)
                        .fill_(tables[at].double_value(&[row, column]) + by);
                    plain(case, &tables)
                };
                // So small that hardly any ReLU turns within it.
                let step = 1e-7;
                let expected = (shifted(step) - shifted(-step)) / (2.0 * step);
                let own = whole.double_value(&[row, column]);
                assert!(
                    (own - expected).abs() < 2e-5 + 1e-3 * expected.abs(),
                    "{tower:?} {at} {row}: {own}, {expected}"
                );
                moved += usize::from(expected.abs() > 1e-4);
            }
            assert!(moved > 10, "{tower:?}, table {at}: {moved}");
        }
    }
}

#[test]
fn gradients_of_tables_are_finite_differences() {
    for dropout in ["", "id_dropout = 0.5\n"] {
        let tower = format!("[tower]\n{dropout}dim = 5\n{FIELDS}{OF_USERS}");
        let text = format!("reject = \"none\"\n{tower}[loss]\nkind = \"cro\"\n");
        hold(users(&text), &met(sequences()));
    }
}

/// Long ones: no two of them begin alike.
fn long() -> Sequences {
    met(sequences_of(4, 5..9))
}

#[test]
fn gradients_of_a_table_that_is_read_and_one_that_is_scored_are_finite_differences() {
    let untied = "tied = false\nnormalize = false\noutput_bias = true\nid_dropout = 0.3\n";
    let tower = format!("[tower]\n{untied}dim = 5\n{FIELDS}{OF_USERS}");
    let loss = "[loss]\nkind = \"cross-entropy\"\n";
    let mut config = users(&format!("batch = 30\nreject = \"none\"\n{tower}{loss}"));
    config.sampling.first_position = 3;
    hold(config, &long());
}

#[test]
fn gradients_of_every_position_of_sessions_are_finite_differences() {
    let negatives = "negatives = [{ from = \"uniform\", count = 40, per = \"batch\" }]\n";
    let encoder = "encoder = \"transformer\"\ndropout = 0.0\nlayers = 1\nid_dropout = 0.3\n";
    let tower = format!("[tower]\n{encoder}dim = 5\n{FIELDS}{OF_USERS}");
    let loss = "[loss]\nkind = \"cross-entropy\"\n";
    let mut config = config(&format!("reject = \"none\"\n{negatives}{tower}{loss}"));
    config.sampling.batch = 60;
    let plan = Plan::of(&config, Device::Cpu);
    assert!(drawn(&drawer(&config, &plan, &long()), 3).chunks.len() > 1);
    hold(config, &long());
}
