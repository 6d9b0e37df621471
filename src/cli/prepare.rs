use anyhow::Result;

/// Turns an interaction log into a dataset folder.
#[derive(clap::Args)]
pub struct Prepare {}

impl Prepare {
    pub fn run(self) -> Result<()> {
        Ok(())
    }
}
