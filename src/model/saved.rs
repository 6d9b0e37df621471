//! Weights in a file of their own, in the safetensors format: written by one process as they are, by
//! ranks in a stream through the first of them, so that none ever holds what all have.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::{Kind, Tensor};

use super::Model;
use crate::files;
use crate::optim::Named;
use crate::tensor_file::{self, TensorFile, TensorWriter};

/// Rows of a table that pass through a process at a time.
const ROWS: usize = 1 << 16;

/// Writes weights as a safetensors file.
pub fn save(weights: &Named, path: &Path) -> Result<()> {
    files::write_with(path, |staging| tensor_file::write(staging, weights))
}

impl Model {
    /// Writes all weights as [`save`] does; of ranks the first writes, and all call it together.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let team = self.items.team();
        if team.is_alone() {
            return save(&self.weights(), path);
        }
        let written = match team.is_first() {
            true => files::write_with(path, |staging| {
                let mut writer = None;
                self.pass(&mut |next| {
                    if writer.is_none() {
                        writer = Some(TensorWriter::create(staging, &self.described())?);
                    }
                    writer.as_mut().expect("it was just made").write(next)
                })?;
                writer.map_or(Ok(()), TensorWriter::finish)
            }),
            false => self.pass(&mut |_| Ok(())),
        };
        team.agree(written)
    }

    /// Names and shapes of all weights, those of a table as of its whole.
    fn described(&self) -> Vec<(String, Kind, Vec<i64>)> {
        let tables = self.items.tables_by_item();
        let named = |(name, own): (&str, Tensor)| {
            let mut shape = own.size();
            if tables.iter().any(|(table, _)| *table == name) {
                shape[0] = self.items.len() as i64 + 1;
            }
            (name.to_owned(), own.kind(), shape)
        };
        self.weights().into_iter().map(named).collect()
    }

    /// Takes all weights to the first rank, in the order of [`Model::described`] and some rows at a
    /// time; what `sink` fails at there keeps nobody from sending the rest.
    fn pass(&self, sink: &mut dyn FnMut(&Tensor) -> Result<()>) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let mut passed = Ok(());
        for (_, parameter) in self.parameters() {
            passed = passed.and_then(|()| sink(&parameter.detach()));
        }
        let (team, rows) = (self.items.team(), self.items.len() + 1);
        for (_, table) in self.items.tables_by_item() {
            let width = table.size()[1];
            for from in (0..rows).step_by(ROWS) {
                let ids = from..rows.min(from + ROWS);
                let (_, local, count) = team.shard().within(ids.clone());
                let own = table.narrow(0, local as i64, count as i64).contiguous().view(-1);
                let parts = team.gathered(Vec::<f32>::try_from(own)?);
                if !team.is_first() {
                    continue;
                }
                let whole = Tensor::zeros([ids.len() as i64, width], (Kind::Float, self.device()));
                for (rank, part) in parts.iter().enumerate() {
                    let (ahead, ..) = team.shard().of(rank).within(ids.clone());
                    let part = Tensor::from_slice(part).view([-1, width]);
                    if part.size()[0] > 0 {
                        whole.slice(0, ahead as i64, None, team.size() as i64).copy_(&part);
                    }
                }
                passed = passed.and_then(|()| sink(&whole));
            }
        }
        passed
    }

    /// Restores weights that were saved; of ranks each reads its part.
    ///
    /// # Errors
    /// Names the file where it cannot be read or does not fit.
    pub fn load(&self, path: &Path) -> Result<()> {
        let read = match self.items.team().is_alone() {
            true => Tensor::read_safetensors(path)
                .map_err(anyhow::Error::from)
                .and_then(|weights| self.restore(&weights)),
            false => self.load_part(path),
        };
        read.with_context(|| format!("cannot use the weights in {}", path.display()))
    }

    fn load_part(&self, path: &Path) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let (file, shard) = (TensorFile::open(path)?, self.items.team().shard());
        for (name, _, shape) in self.described() {
            let found = file.shape(&name);
            ensure!(
                found == Some(&shape),
                "the weight `{name}` has shape {found:?}, but configuration and dataset ask for \
                 {shape:?}"
            );
        }
        for (name, parameter) in self.parameters() {
            parameter.detach().copy_(&file.whole(name)?);
        }
        let rows = self.items.len() + 1;
        for (name, table) in self.items.tables_by_item() {
            for from in (0..rows).step_by(ROWS) {
                let ids = from..rows.min(from + ROWS);
                let (ahead, local, count) = shard.within(ids.clone());
                if count > 0 {
                    let read = file.rows(name, from as i64, ids.len() as i64)?;
                    let own = read.slice(0, ahead as i64, None, shard.ranks as i64);
                    table.narrow(0, local as i64, count as i64).copy_(&own);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TowerConfig;
    use crate::ranks::together;
    use tch::Device;

    /// Over several blocks of rows.
    #[test]
    fn ranks_write_the_file_of_one_process_and_read_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let tower = TowerConfig { dim: 2, tied: false, output_bias: true, ..Default::default() };
        let items = ROWS + 77;
        let alone = Model::new(&tower, items, 4, Device::Cpu);
        save(&alone.weights(), &dir.path().join("alone")).unwrap();
        let expected = Tensor::read_safetensors(dir.path().join("alone")).unwrap();
        for ranks in 2..4 {
            let path = dir.path().join(ranks.to_string());
            together(ranks, |team| {
                Model::sharded(&tower, items, 4, &team).save(&path).unwrap();
                let other = Model::sharded(&tower, items, 5, &team);
                let before = other.snapshot();
                other.load(&path).unwrap();
                let own = Model::sharded(&tower, items, 4, &team);
                for ((name, read), (_, own)) in other.weights().iter().zip(own.weights()) {
                    assert_eq!(*read, own, "{name}");
                }
                assert_ne!(before[2].1, other.weights()[2].1);
            });
            let written = Tensor::read_safetensors(&path).unwrap();
            assert_eq!(written.len(), expected.len());
            for (name, own) in &expected {
                let (_, found) = written.iter().find(|(other, _)| other == name).unwrap();
                assert_eq!(found, own, "{name} of {ranks} ranks");
            }
        }
    }

    #[test]
    fn what_does_not_fit_or_cannot_be_written_is_named_on_every_rank() {
        let dir = tempfile::tempdir().unwrap();
        let tower = TowerConfig { dim: 2, ..Default::default() };
        save(&Model::new(&tower, 9, 4, Device::Cpu).weights(), &dir.path().join("nine")).unwrap();
        let told = together(2, |team| {
            let model = Model::sharded(&tower, 10, 4, &team);
            let [nine, nowhere] = ["nine", "no/where"].map(|name| dir.path().join(name));
            [model.load(&nine), model.save(&nowhere)].map(|done| format!("{:#}", done.unwrap_err()))
        });
        for [load, save] in told {
            assert!(load.contains("nine") && load.contains("`items` has shape"), "{load}");
            assert!(save.contains("no/where"), "{save}");
        }
    }
}
