//! The rule against numbers worked out otherwise.

use super::*;
use crate::data::SplitRule;

fn rule(cold_one_in: u32, cold_part: Option<u32>) -> SplitRule {
    let by = SplitBy::LeaveOneOut;
    SplitRule { by, cold_one_in: Some(cold_one_in), cold_part, ..SplitRule::default() }
}

#[test]
fn whole_numbers_are_spread_by_the_multiplier() {
    for (one_in, part) in [(20, None), (20, Some(3)), (7, Some(6)), (2, Some(0))] {
        let rule = rule(one_in, part);
        for n in (0..5_000u128).chain([u64::MAX.into(), u128::from(u64::MAX) + 1, u128::MAX]) {
            // All but the last 32 bits of a number are without effect.
            let spread = (n % (1 << 32)) * 2_654_435_761 % (1 << 32);
            let cold = spread % u128::from(one_in) == u128::from(part.unwrap_or(0));
            assert_eq!(rule.is_cold(&n.to_string()), cold, "{n}");
        }
    }
    assert_eq!(rule(9, None).is_cold("007"), rule(9, None).is_cold("7"));
    assert!(!SplitRule::default().is_cold("0"));
}

#[test]
fn other_ids_go_by_their_crc_32() {
    // From zlib's crc32 of the bytes.
    let known = [("b", 0x71be_eff9u64), ("B0009RF9DW", 0xef23_d470), ("-5", 0x3740_8c33), ("", 0)];
    for (id, crc) in known {
        assert_eq!(number(id), crc, "{id}");
        for one_in in 2..40 {
            let part = (crc * 2_654_435_761 % (1 << 32) % u64::from(one_in)) as u32;
            assert!(rule(one_in, Some(part)).is_cold(id), "{id} {one_in}");
            assert!(!rule(one_in, Some((part + 1) % one_in)).is_cold(id), "{id} {one_in}");
        }
    }
}

#[test]
fn numbers_that_name_no_part_and_splits_that_cannot_measure_it_are_refused() {
    let said = |rule: SplitRule| rule.check().unwrap_err().to_string();
    assert!(said(rule(1, None)).starts_with("cold_one_in = 1: must be at least 2"));
    assert!(said(rule(20, Some(20))).starts_with("cold_part = 20: must be below cold_one_in = 20"));
    let alone = SplitRule { cold_one_in: None, ..rule(2, Some(0)) };
    assert!(said(alone).starts_with("cold_part says which items are cold: it needs cold_one_in"));
    let days = SplitRule { by: SplitBy::Days, test_days: Some(1), ..rule(2, None) };
    assert!(said(days).starts_with("cold_one_in is not for a split by days or a given one"));
    let none = SplitRule { by: SplitBy::None, ..rule(2, None) };
    assert!(said(none).starts_with("cold_one_in is for measuring"));
    assert_eq!(rule(2, None).settled().cold_part, Some(0));
    assert_eq!(SplitRule::default().settled().cold_part, None);
}
