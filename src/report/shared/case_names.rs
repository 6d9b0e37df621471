//! What a sweep file calls its variants.

use super::study::{Study, Variant};

/// The name of each variant of `study`: its case and axis values as the sweep file writes them, with
/// its grid where another has the same.
pub fn case_names(study: &Study) -> Vec<String> {
    let case = |variant: &Variant| variant.points[0].case.clone();
    let name = |variant: &Variant| {
        let alone = study.variants.iter().filter(|other| case(other) == case(variant)).count() == 1;
        let grid = variant.points[0].grids.first().filter(|_| !alone);
        grid.map_or(case(variant), |grid| format!("{} [{grid}]", case(variant)))
    };
    study.variants.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::shared::fixtures::point;

    #[test]
    fn cases_of_one_name_are_told_apart_by_their_grids() {
        let of = |case: &str, grid: &str, dim| {
            let mut point = point("kind = \"bpr\"", 1, &[]);
            (point.case, point.grids, point.config.tower.dim) =
                (case.into(), vec![grid.into()], dim);
            point
        };
        let points = [of("cro a1.2", "g", 8), of("cro", "g", 16), of("cro", "h", 32)];
        let names = case_names(&Study::of(&points).unwrap());
        assert_eq!(names, ["cro a1.2", "cro [g]", "cro [h]"]);
    }
}
