//! Drawing: lines in panels with axes, as SVG.

mod axis;
mod chart;
mod figure;

pub use axis::{Axis, round_step};
pub use chart::{Line, Panel, Point, dark_sheet, draw};
pub use figure::Figure;
