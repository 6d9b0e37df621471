//! A drawing with its title and its caption.

use anyhow::Result;

use super::chart::{Panel, draw};

/// A finished figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The file's name without `.svg`; unique within a report.
    pub id: &'static str,
    pub title: String,
    pub caption: String,
    pub svg: String,
}

impl Figure {
    /// Draws panels side by side.
    ///
    /// # Errors
    /// Those of the drawing crate.
    pub fn new(id: &'static str, title: String, caption: String, panels: &[Panel]) -> Result<Self> {
        let svg = draw(panels, &title)?;
        Ok(Self { id, title, caption, svg })
    }
}
