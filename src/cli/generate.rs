use anyhow::Result;

/// Writes a generated interaction log.
#[derive(clap::Args)]
pub struct Generate {}

impl Generate {
    pub fn run(self) -> Result<()> {
        Ok(())
    }
}
