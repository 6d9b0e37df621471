//! Files of tensors in the safetensors format, read and written some rows at a time, so that nobody has
//! to hold what is in them: a header in JSON behind its length of 8 bytes, then the numbers.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::reading;

/// The longest header that is read: 100 MB, as other readers of the format have it.
const LONGEST: u64 = 100_000_000;

/// A tensor of a file, by name.
pub type Named = (String, Kind, Vec<i64>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<i64>,
    /// Where its numbers begin and end behind the header.
    data_offsets: [u64; 2],
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Float => "F32",
        Kind::Int => "I32",
        Kind::Int64 => "I64",
        _ => unreachable!("weights and optimisers have no {kind:?}"),
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    [Kind::Float, Kind::Int, Kind::Int64].into_iter().find(|kind| name_of(*kind) == name)
}

fn bytes_of(kind: Kind, shape: &[i64]) -> u64 {
    shape.iter().product::<i64>() as u64 * kind.elt_size_in_bytes() as u64
}

/// The bytes of what a file says that it holds, if there is such a thing.
fn bytes_said(entry: &Entry) -> Option<u64> {
    let size = kind_of(&entry.dtype)?.elt_size_in_bytes() as u64;
    let times = |bytes: u64, length: &i64| bytes.checked_mul(u64::try_from(*length).ok()?);
    entry.shape.iter().try_fold(size, times)
}

/// Writes tensors as a file, some rows at a time, so that there is no copy of any.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write<S: AsRef<str>, T: Borrow<Tensor>>(path: &Path, tensors: &[(S, T)]) -> Result<()> {
    let tensors = || tensors.iter().map(|(name, own)| (name.as_ref(), own.borrow().detach()));
    let named = tensors().map(|(name, own)| (name.to_owned(), own.kind(), own.size()));
    let mut writer = TensorWriter::create(path, &named.collect::<Vec<_>>())?;
    tensors().try_for_each(|(_, own)| writer.write_rows(&own))?;
    writer.finish()
}

/// A file that is written.
pub struct TensorWriter {
    path: PathBuf,
    to: BufWriter<File>,
    left: u64,
}

impl TensorWriter {
    /// Makes a file of these tensors, whose numbers are yet to come, in their order.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn create(path: &Path, tensors: &[Named]) -> Result<Self> {
        let mut end = 0;
        let entry = |(name, kind, shape): &Named| {
            let start = end;
            end += bytes_of(*kind, shape);
            let (dtype, shape) = (name_of(*kind).to_owned(), shape.clone());
            (name.clone(), Entry { dtype, shape, data_offsets: [start, end] })
        };
        let header: BTreeMap<String, Entry> = tensors.iter().map(entry).collect();
        let mut header = serde_json::to_string(&header)?;
        header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
        let cannot = || format!("cannot write {}", path.display());
        let mut to = BufWriter::new(File::create(path).with_context(cannot)?);
        to.write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| to.write_all(header.as_bytes()))
            .with_context(cannot)?;
        Ok(Self { path: path.into(), to, left: end })
    }

    /// Writes the numbers that come next.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn write(&mut self, next: &Tensor) -> Result<()> {
        let next = next.contiguous();
        let mut bytes = vec![0; next.numel() * next.kind().elt_size_in_bytes()];
        next.copy_data_u8(&mut bytes, next.numel());
        self.left = self.left.checked_sub(bytes.len() as u64).expect("no more than was said");
        self.to.write_all(&bytes).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Writes a tensor some rows at a time, whatever it is a view of.
    fn write_rows(&mut self, next: &Tensor) -> Result<()> {
        /// Rows at a time.
        const ROWS: i64 = 1 << 15;
        let rows = next.size().first().copied();
        let Some(rows) = rows else { return self.write(next) };
        let mut pieces = (0..rows).step_by(ROWS as usize);
        pieces.try_for_each(|from| self.write(&next.narrow(0, from, ROWS.min(rows - from))))
    }

    /// Ends it.
    ///
    /// # Errors
    /// As [`TensorWriter::write`].
    pub fn finish(mut self) -> Result<()> {
        assert_eq!(self.left, 0, "all that was said is written");
        self.to.flush().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// A file that is read.
pub struct TensorFile {
    path: PathBuf,
    file: File,
    entries: BTreeMap<String, Entry>,
    /// Where the numbers begin.
    start: u64,
}

impl TensorFile {
    /// Reads the header.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn open(path: &Path) -> Result<Self> {
        let file = reading::open(path)?;
        let read = || -> Result<(BTreeMap<String, Entry>, u64)> {
            let mut length = [0; 8];
            file.read_exact_at(&mut length, 0)?;
            let length = u64::from_le_bytes(length);
            let size = file.metadata()?.len();
            ensure!(length <= LONGEST && 8 + length <= size, "its header is longer than itself");
            let mut header = vec![0; length as usize];
            file.read_exact_at(&mut header, 8)?;
            let mut header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)?;
            header.remove("__metadata__");
            let mut entries = BTreeMap::new();
            for (name, entry) in header {
                let entry: Entry = serde_json::from_value(entry)?;
                let [from, to] = entry.data_offsets;
                let sound = to.checked_sub(from).is_some_and(|own| bytes_said(&entry) == Some(own));
                ensure!(sound && to <= size - 8 - length, "`{name}` is broken");
                entries.insert(name, entry);
            }
            Ok((entries, 8 + length))
        };
        let (entries, start) = read().with_context(|| format!("{} is broken", path.display()))?;
        Ok(Self { path: path.into(), file, entries, start })
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[i64]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// A tensor as a whole.
    ///
    /// # Errors
    /// Names what is missing, or the file that cannot be read.
    pub fn whole(&self, name: &str) -> Result<Tensor> {
        let entry = self.entry(name)?;
        self.read(entry, 0, &entry.shape)
    }

    /// Some rows of a tensor, all of which are there.
    ///
    /// # Errors
    /// Names what is missing, or the file that cannot be read.
    pub fn rows(&self, name: &str, from: i64, count: i64) -> Result<Tensor> {
        let entry = self.entry(name)?;
        let row = &entry.shape[1..];
        let kind = kind_of(&entry.dtype).expect("of a kind, as was checked");
        let shape = [&[count], row].concat();
        self.read(entry, from as u64 * bytes_of(kind, row), &shape)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        let missing = || format!("{} lacks `{name}`", self.path.display());
        self.entries.get(name).with_context(missing)
    }

    fn read(&self, entry: &Entry, skipped: u64, shape: &[i64]) -> Result<Tensor> {
        let kind = kind_of(&entry.dtype).expect("of a kind, as was checked");
        let mut bytes = vec![0; bytes_of(kind, shape) as usize];
        let at = self.start + entry.data_offsets[0] + skipped;
        self.file
            .read_exact_at(&mut bytes, at)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(Tensor::from_data_size(&bytes, shape, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn others_read_what_is_written_here_and_the_other_way_round() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let wide = Tensor::randn([70_000, 2, 3], (Kind::Float, Device::Cpu));
        let (matrix, list) = (wide.select(1, 1), Tensor::from_slice(&[7i64, -9]));
        let (none, one) = (Tensor::from_slice::<i32>(&[]), Tensor::from(5i64));
        let all = [("m", &matrix), ("list", &list), ("none", &none), ("one", &one)];
        write(&path, &all).unwrap();
        let read = Tensor::read_safetensors(&path).unwrap();
        assert_eq!(read.len(), 4);
        for (name, own) in &read {
            let (_, expected) = all.iter().find(|(other, _)| other == name).unwrap();
            assert_eq!(own, *expected, "{name}");
        }
        Tensor::write_safetensors(&read, &path).unwrap();
        let file = TensorFile::open(&path).unwrap();
        for (name, expected) in all {
            assert_eq!(file.whole(name).unwrap(), *expected, "{name}");
        }
        assert_eq!(file.rows("m", 60_001, 5).unwrap(), matrix.narrow(0, 60_001, 5));
        assert_eq!(file.shape("m"), Some(&[70_000, 3][..]));
        assert!(file.whole("no").unwrap_err().to_string().contains("lacks `no`"));
    }

    #[test]
    fn a_broken_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broken");
        let one = |offsets: &str| {
            let header =
                format!(r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}}}"#);
            [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat()
        };
        let broken =
            [vec![], vec![9; 5], vec![255; 40], one("[0,12]"), one("[8,16]"), one("[8,0]")];
        for bytes in broken {
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", TensorFile::open(&path).err().unwrap());
            assert!(error.contains("broken"), "{error}");
        }
        std::fs::write(&path, one("[0,8]")).unwrap();
        assert_eq!(
            TensorFile::open(&path).unwrap().whole("a").unwrap(),
            Tensor::zeros([2], (Kind::Float, Device::Cpu))
        );
    }
}
