//! What the report of any paper needs: variants and their statistics, paired tests and claims, tables,
//! drawings, and the two forms of a whole report. Nothing here knows a paper.

pub mod baseline_rows;
pub mod case_names;
pub mod choice;
pub mod claim;
pub mod compare;
mod config_columns;
pub mod drawing;
#[cfg(test)]
pub mod fixtures;
pub mod markdown;
pub mod page;
pub mod paired_difference;
pub mod provenance;
pub mod report;
pub mod results_files;
pub mod significance;
pub mod statistics;
pub mod study;
pub mod sweep_tables;
pub mod table;
pub mod validation_curves;
pub mod validations;
pub mod variant_cells;
