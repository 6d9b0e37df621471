//! `results.csv` and `results.parquet`: one row a point.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use polars::prelude::*;
use toml::Value;

use super::config_columns::{self, flat, plain};
use super::study::metrics_of;
use crate::eval::{ColdRecall, Lists, value_of};
use crate::files;
use crate::sweep::{PointResult, Status};
use crate::train::RunResult;

/// Writes `results.csv` and `results.parquet` into `folder`, which must be there, each whole or
/// not at all: a row a point in the order given; the configuration flattened into columns like
/// `loss.kernel`; metrics as shares, from 0 to 1, in columns like `test.recall@50`, and so what lists
/// hold, in `test.coverage@50` and `test.popularity@50`; what a point does not have is empty.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write_results(points: &[PointResult], folder: &Path) -> Result<[PathBuf; 2]> {
    let mut frame = frame(points)?;
    let [csv, parquet] = ["results.csv", "results.parquet"].map(|name| folder.join(name));
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(&mut frame)?;
    files::write_file(&csv, &bytes)?;
    bytes.clear();
    ParquetWriter::new(&mut bytes).finish(&mut frame)?;
    files::write_file(&parquet, &bytes)?;
    Ok([csv, parquet])
}

fn frame(points: &[PointResult]) -> Result<DataFrame> {
    let mut columns = vec![
        text("name", points, |p| Some(p.name.clone())),
        text("id", points, |p| Some(p.id.clone())),
        text("grids", points, |p| Some(p.grids.join(" "))),
        text("status", points, |p| Some(status_word(&p.status).into())),
        text("reason", points, |p| match &p.status {
            Status::Failed(reason) => Some(reason.clone()),
            _ => None,
        }),
    ];
    let configs = points.iter().map(|p| flat(&p.config)).collect::<Result<Vec<_>>>()?;
    let keys: BTreeSet<&String> = configs.iter().flatten().map(|(key, _)| key).collect();
    for key in keys {
        let find = |(written, point): (&Vec<_>, &PointResult)| {
            config_columns::value_of(&point.config, written, key)
        };
        columns.push(typed(key, configs.iter().zip(points).map(find).collect()));
    }
    for metric in metrics_of(points) {
        let value = |o: &RunResult| value_of(&o.validation, metric);
        columns.push(number(&format!("validation.{metric}"), points, value));
    }
    for metric in metrics_of(points) {
        columns.push(number(&format!("test.{metric}"), points, |o| value_of(&o.test, metric)));
    }
    type Held = fn(&Lists) -> f64;
    let parts: [(&str, Held); 2] =
        [("coverage", |own| own.coverage), ("popularity", |own| own.popularity)];
    let results = || points.iter().filter_map(PointResult::result);
    let listed: BTreeSet<usize> =
        results().flat_map(|result| result.test_lists.keys().copied()).collect();
    for (part, held) in parts {
        for at in &listed {
            let value = |o: &RunResult| o.test_lists.get(at).map(held);
            columns.push(number(&format!("test.{part}@{at}"), points, value));
        }
    }
    for (part, found) in ColdRecall::SHARES {
        let of = |point: &PointResult| point.result().and_then(|o| o.test_cold.clone());
        let ats: BTreeSet<usize> = points
            .iter()
            .filter_map(of)
            .flat_map(|cold| found(&cold).clone().into_keys())
            .collect();
        for at in ats {
            let value = |o: &RunResult| found(o.test_cold.as_ref()?).get(&at).copied();
            columns.push(number(&format!("test_cold.{part}@{at}"), points, value));
        }
    }
    columns.extend([
        number("steps", points, |o| Some(o.steps)),
        number("best_step", points, |o| Some(o.best_step)),
        number("train_seconds", points, |o| Some(o.train_seconds)),
        number("seconds", points, |o| Some(o.seconds)),
        number("peak_memory_mib", points, |o| Some(o.peak_memory_mib)),
        number("peak_gpu_memory_mib", points, |o| o.peak_gpu_memory_mib),
        number("test_users", points, |o| Some(o.test_users as u64)),
        number("test_unrankable", points, |o| Some(o.test_unrankable as u64)),
        text("version", points, |p| Some(p.result()?.version.clone())),
        text("commit", points, |p| Some(p.result()?.commit.clone())),
        text("device", points, |p| Some(p.result()?.device.clone())),
        number("threads", points, |o| Some(o.threads)),
    ]);
    Ok(DataFrame::new(points.len(), columns)?)
}

/// `done`, `failed` or `missing`.
fn status_word(status: &Status) -> &'static str {
    match status {
        Status::Missing => "missing",
        Status::Failed(_) => "failed",
        Status::Done(_) => "done",
    }
}

/// A column of integers or numbers where all values are such, else of text.
fn typed(name: &str, values: Vec<Option<Value>>) -> Column {
    let there = || values.iter().flatten();
    if there().all(Value::is_integer) {
        let all: Vec<Option<i64>> = values.iter().map(|v| v.as_ref()?.as_integer()).collect();
        return Column::new(name.into(), all);
    }
    if there().all(|v| v.is_integer() || v.is_float()) {
        let float = |v: &Value| v.as_float().or(v.as_integer().map(|i| i as f64));
        let all: Vec<Option<f64>> = values.iter().map(|v| float(v.as_ref()?)).collect();
        return Column::new(name.into(), all);
    }
    let all: Vec<Option<String>> = values.iter().map(|v| v.as_ref().map(plain)).collect();
    Column::new(name.into(), all)
}

fn text(
    name: &str,
    points: &[PointResult],
    value: impl Fn(&PointResult) -> Option<String>,
) -> Column {
    Column::new(name.into(), points.iter().map(value).collect::<Vec<_>>())
}

fn number<T>(name: &str, points: &[PointResult], value: impl Fn(&RunResult) -> Option<T>) -> Column
where
    Series: NamedFrom<Vec<Option<T>>, [Option<T>]>,
{
    let all = points.iter().map(|point| point.result().and_then(&value)).collect::<Vec<_>>();
    Series::new(name.into(), all).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::shared::fixtures;

    #[test]
    fn what_is_written_comes_back_from_both_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut points = fixtures::points();
        points[1].status = Status::Failed("loss is NaN at step 7, \"quoted\",\nnext line".into());
        let paths = write_results(&points, dir.path()).unwrap();
        let parquet = ParquetReader::new(std::fs::File::open(&paths[1]).unwrap()).finish().unwrap();
        let csv = CsvReadOptions::default()
            .try_into_reader_with_file_path(Some(paths[0].clone()))
            .unwrap()
            .finish()
            .unwrap();
        assert_eq!(parquet, frame(&points).unwrap());
        assert_eq!(csv.height(), points.len());
        assert_eq!(csv.get_column_names(), parquet.get_column_names());
        let cell = |column: &str, row: usize| csv.column(column).unwrap().get(row).unwrap();
        assert_eq!(cell("status", 1).get_str(), Some("failed"));
        assert!(cell("reason", 1).get_str().unwrap().contains("\"quoted\",\nnext"));
        assert!(cell("test.recall@50", 1).is_null());
        let there =
            crate::eval::value_of(&points[0].result().unwrap().test, "recall@50".parse().unwrap());
        assert_eq!(cell("test.recall@50", 0).extract::<f64>(), there);
        assert_eq!(cell("seed", 0).extract::<i64>(), Some(points[0].config.seed as i64));
    }

    #[test]
    fn what_was_found_of_cold_items_has_columns_where_it_was_measured() {
        let mut points = fixtures::points();
        let Status::Done(result) = &mut points[1].status else { panic!() };
        result.test_cold = Some(ColdRecall {
            items: 7,
            targets: 4,
            among_cold: [(10, 0.75)].into(),
            among_all: [(10, 0.25)].into(),
        });
        let frame = frame(&points).unwrap();
        for (column, value) in [("test_cold.among_cold@10", 0.75), ("test_cold.among_all@10", 0.25)]
        {
            let column = frame.column(column).unwrap().f64().unwrap().clone();
            assert_eq!((column.get(0), column.get(1)), (None, Some(value)));
        }
        points.remove(1);
        assert!(super::frame(&points).unwrap().column("test_cold.among_all@10").is_err());
    }

    #[test]
    fn what_lists_hold_and_what_could_not_be_ranked_have_columns() {
        let dir = tempfile::tempdir().unwrap();
        let mut points = fixtures::points();
        points.truncate(3);
        let lists = |coverage| Lists { coverage, popularity: 100.0 * coverage };
        for (point, own) in [(0, vec![(10, 0.5), (50, 0.75)]), (1, vec![(10, 0.25)])] {
            let Status::Done(result) = &mut points[point].status else { panic!() };
            result.test_lists = own.into_iter().map(|(at, share)| (at, lists(share))).collect();
            result.test_unrankable = 7 * point;
        }
        points[2].status = Status::Missing;
        let [path, _] = write_results(&points, dir.path()).unwrap();
        let csv = CsvReadOptions::default()
            .try_into_reader_with_file_path(Some(path))
            .unwrap()
            .finish()
            .unwrap();
        for (name, expected) in [
            ("test.coverage@10", [Some(0.5), Some(0.25), None]),
            ("test.coverage@50", [Some(0.75), None, None]),
            ("test.popularity@10", [Some(50.0), Some(25.0), None]),
            ("test.popularity@50", [Some(75.0), None, None]),
            ("test_unrankable", [Some(0.0), Some(7.0), None]),
        ] {
            let column = csv.column(name).unwrap();
            let cells = [0, 1, 2].map(|row| column.get(row).unwrap().extract::<f64>());
            assert_eq!(cells, expected, "{name}");
        }
        let frame = frame(&fixtures::points()).unwrap();
        assert!(frame.column("test.coverage@10").is_err(), "nobody has lists");
    }

    #[test]
    fn no_points_are_an_empty_table() {
        let dir = tempfile::tempdir().unwrap();
        write_results(&[], dir.path()).unwrap();
    }
}
