//! Vectors of items by what is known of them, whether the export holds them or not.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use tch::{CModule, Device, IValue, Kind, Tensor};

use super::folder::Export;
use crate::data::{Record, Schema};
use crate::device;
use crate::misuse;

/// Items whose vectors are made at once.
const BLOCK: usize = 1 << 14;

/// The item tower of an export, and what it needs to read records.
pub struct Embedder {
    pub schema: Schema,
    /// The id of each item that the export holds.
    ids: HashMap<String, i64>,
    tower: CModule,
    dim: i64,
}

/// What was made of records.
pub struct Embedded {
    /// `[records, dim]`, float32.
    pub vectors: Tensor,
    /// How many of them the export holds: their own vectors are added.
    pub known: u64,
    /// `[fields]`
    pub told: Vec<FieldTold>,
}

/// What records tell of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldTold {
    /// Records with a value.
    pub known: u64,
    /// Records with one that has no vector of its own.
    pub unknown: u64,
}

impl Embedder {
    /// On a CPU.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for an export without features; names the file that cannot be read.
    pub fn open(export: &Export) -> Result<Self> {
        let Some(schema) = export.features()? else {
            misuse!(
                "the items of {} have no features, so that it has vectors of its own items alone: \
                 train with tower.item_features",
                export.folder.display()
            );
        };
        let items = export.items()?.into_iter().map(|item| String::from(item.original));
        Ok(Self {
            schema,
            ids: items.zip(1..).collect(),
            tower: export.item_tower(Device::Cpu)?,
            dim: export.manifest.dim,
        })
    }

    /// The vectors of what is told in these records, in their order.
    ///
    /// # Errors
    /// Names the place of what is no value of its field; when the tower is not of this export.
    pub fn embed(&self, records: &[Record]) -> Result<Embedded> {
        let codes = |record: &Record| {
            self.schema.codes(&record.values).with_context(|| record.place.clone())
        };
        let codes = records.iter().map(codes).collect::<Result<Vec<Vec<u32>>>>()?;
        let id = |record: &Record| self.ids.get(&record.id).copied().unwrap_or(0);
        let ids: Vec<i64> = records.iter().map(id).collect();
        let _guard = tch::no_grad_guard();
        let blocks = ids.chunks(BLOCK).zip(codes.chunks(BLOCK));
        let parts =
            blocks.map(|(ids, codes)| self.block(ids, codes)).collect::<Result<Vec<_>>>()?;
        Ok(Embedded {
            vectors: Tensor::cat(&parts, 0),
            known: ids.iter().filter(|id| **id > 0).count() as u64,
            told: self.told(&codes),
        })
    }

    fn block(&self, ids: &[i64], codes: &[Vec<u32>]) -> Result<Tensor> {
        let widest = codes.iter().map(Vec::len).max().unwrap_or_default();
        let padded = |own: &Vec<u32>| {
            let own = own.iter().map(|code| i64::from(*code));
            own.chain(std::iter::repeat(0)).take(widest).collect::<Vec<_>>()
        };
        let padded: Vec<i64> = codes.iter().flat_map(padded).collect();
        let shape = [ids.len() as i64, widest as i64];
        let input = [Tensor::from_slice(ids), Tensor::from_slice(&padded).view(shape)];
        let found = self.tower.forward_is(&input.map(IValue::Tensor));
        let wanted = [ids.len() as i64, self.dim];
        match found.context("the item tower does not take codes: it is not of this export")? {
            IValue::Tensor(vectors)
                if vectors.size() == wanted && vectors.kind() == Kind::Float =>
            {
                ensure!(
                    device::is_finite(&vectors),
                    "the vectors are not all numbers: the weights are damaged"
                );
                Ok(vectors)
            }
            _ => anyhow::bail!(
                "the item tower does not give Float of shape {wanted:?}: it is not of this export"
            ),
        }
    }

    fn told(&self, codes: &[Vec<u32>]) -> Vec<FieldTold> {
        let first = self.schema.first_codes();
        let mut told = vec![FieldTold::default(); first.len()];
        for own in codes {
            for (field, (first, told)) in self.schema.fields.iter().zip(first.iter().zip(&mut told))
            {
                let of_field = |code: &&u32| (*first..first + field.codes()).contains(*code);
                let least = own.iter().find(of_field).map(|code| code - first);
                told.known += u64::from(least.is_some_and(|least| least > 0));
                told.unknown += u64::from(least == Some(1));
            }
        }
        told
    }
}
