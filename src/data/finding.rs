//! Finding the files of a data set in a folder, by the names that their owner gave them.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::archive::{member_called, on_disk};
use super::description::Description;
use super::raw::GENERATED;
use crate::misuse;

impl Description {
    /// Takes all files from `folder`, by the names that their owner gave them; gzipped or in a zip
    /// archive as well as unpacked. Where there is none, one that was generated in its format.
    ///
    /// # Errors
    /// A file that is not there, with what to do.
    pub fn take_from(&mut self, folder: &Path) -> Result<()> {
        if !folder.is_dir() {
            misuse!("there is no folder {}", folder.display());
        }
        let known = [&mut self.items, &mut self.users].into_iter().flatten();
        let of_log = self.source.files.iter_mut().chain(&mut self.source.test_files);
        for file in of_log.chain(known.flat_map(|known| &mut known.files)) {
            let Some(found) = find(folder, file)? else {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                misuse!(
                    "{} holds no {name} (nor {name}.gz, {name}.zip or {GENERATED}{name}): see \
                     croloss fetch {}",
                    folder.display(),
                    self.name
                );
            };
            *file = found;
        }
        Ok(())
    }

    /// Calls the data set generated where a file of its log is, by its name.
    pub fn note_generated(&mut self) {
        let name = |path: &PathBuf| on_disk(path).file_name().map(|name| name.to_owned());
        let is = |path| name(path).is_some_and(|n| n.to_string_lossy().starts_with(GENERATED));
        if self.source.paths().any(is) && !self.generated {
            self.generated = true;
            if !self.name.contains("generated") {
                self.name += "-generated";
            }
        }
    }
}

/// Where in `folder` lies what a description calls `file`.
fn find(folder: &Path, file: &Path) -> Result<Option<PathBuf>> {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    let unpacked = name.strip_suffix(".gz").unwrap_or(name);
    // Of a member of an archive, the place that it has when it is unpacked.
    let inside: PathBuf = file.components().skip(1).collect();
    let places =
        [file.to_owned(), inside, name.into(), format!("{name}.gz").into(), unpacked.into()];
    let mut places = places.iter().map(|place| folder.join(place));
    if let Some(place) = places.find(|place| on_disk(place).is_file()) {
        return Ok(Some(place));
    }
    let archive = folder.join(format!("{unpacked}.zip"));
    if archive.is_file()
        && let Some(member) = member_called(&archive, unpacked)?
    {
        return Ok(Some(member));
    }
    let generated = folder.join(format!("{GENERATED}{name}"));
    Ok(generated.is_file().then_some(generated))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn found(folder: &Path, file: &str) -> Result<Option<String>> {
        let found = find(folder, Path::new(file))?;
        Ok(found.map(|path| path.strip_prefix(folder).unwrap().display().to_string()))
    }

    #[test]
    fn a_file_is_found_packed_or_not_and_before_one_that_was_generated() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(found(dir.path(), "a.csv").unwrap(), None);
        put("generated-a.csv");
        assert_eq!(found(dir.path(), "a.csv").unwrap(), name("generated-a.csv"));
        let pack = |archive: &str, member: &str| {
            let mut zip = zip::ZipWriter::new(fs::File::create(dir.path().join(archive)).unwrap());
            zip.start_file(member, Default::default()).unwrap();
            zip.write_all(b"x").unwrap();
            zip.finish().unwrap();
        };
        pack("a.csv.zip", "in/a.csv");
        assert_eq!(found(dir.path(), "a.csv").unwrap(), name("a.csv.zip/in/a.csv"));
        put("a.csv.gz");
        assert_eq!(found(dir.path(), "a.csv").unwrap(), name("a.csv.gz"));
        put("a.csv");
        assert_eq!(found(dir.path(), "a.csv").unwrap(), name("a.csv"));
        // What is described as packed may be unpacked.
        put("b.json");
        assert_eq!(found(dir.path(), "data/b.json.gz").unwrap(), name("b.json"));
        put("inner/c.dat");
        assert_eq!(found(dir.path(), "c.zip/inner/c.dat").unwrap(), name("inner/c.dat"));
        pack("c.zip", "inner/c.dat");
        assert_eq!(found(dir.path(), "c.zip/inner/c.dat").unwrap(), name("c.zip/inner/c.dat"));
    }

    #[test]
    fn a_log_is_called_generated_by_its_file_s_name() {
        let named = |files: &[&str]| {
            let mut description = Description { name: "shop".into(), ..Description::default() };
            description.source.files = files.iter().map(PathBuf::from).collect();
            description.note_generated();
            (description.generated, description.name)
        };
        assert_eq!(named(&["x/a.csv", "generated.csv"]), (false, "shop".into()));
        assert_eq!(named(&["a.csv", "x/generated-a.csv"]), (true, "shop-generated".into()));
    }
}
