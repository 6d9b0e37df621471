//! All that a report says, before it has a form.

use super::claim::Claim;
use super::drawing::Figure;
use super::provenance::Provenance;
use super::table::Table;

/// What a sweep says about the paper that it belongs to.
pub struct Findings {
    pub wording: &'static Wording,
    /// Of each variant of the study.
    pub names: Vec<String>,
    pub tables: Vec<Table>,
    /// Paired tests.
    pub tests: Option<Table>,
    pub figures: Vec<Figure>,
    /// None where the sweep is about something else.
    pub claims: Vec<Claim>,
    /// Sentences for the summary.
    pub remarks: Vec<String>,
}

/// What is called differently from paper to paper.
pub struct Wording {
    /// Whose claims they are.
    pub whose: &'static str,
    /// The heading of the tables.
    pub tables: &'static str,
    /// What the answers to the claims rest on.
    pub basis: &'static str,
    /// What stands above the heat maps, where there are tables with a [`super::table::Facet`].
    pub heat_maps: &'static str,
}

/// All that a report says, before it has a form.
pub struct Report<'a> {
    pub provenance: &'a Provenance,
    /// By which protocols its points are measured, in words.
    pub protocols: Vec<String>,
    pub summary: Vec<String>,
    /// All cases beside the chosen one, of data that no paper is about.
    pub cases: Vec<Table>,
    pub found: Findings,
    pub variants: Table,
    pub unfinished: Option<Table>,
    pub made: Vec<(&'static str, String)>,
}
