//! Which items are cold: a rule that goes by their ids alone, the same for everyone.

use anyhow::Result;
use flate2::Crc;

use super::split_rule::{SplitBy, SplitRule};
use crate::misuse;

/// 2³² over the golden ratio: numbers that follow each other are spread evenly.
const MULTIPLIER: u64 = 2_654_435_761;

impl SplitRule {
    /// Whether the item of this id in the log is cold: (n · 2654435761 mod 2³²) mod `cold_one_in` is
    /// `cold_part`, n being the id where that is a whole number, else the CRC-32 of its bytes.
    pub(super) fn is_cold(&self, id: &str) -> bool {
        let Some(one_in) = self.cold_one_in else { return false };
        let spread = number(id).wrapping_mul(MULTIPLIER) % (1 << 32);
        spread % u64::from(one_in) == u64::from(self.cold_part.unwrap_or_default())
    }

    /// # Errors
    /// Numbers that name no part; a split that cannot measure cold items.
    pub(super) fn check_cold(&self) -> Result<()> {
        let Some(one_in) = self.cold_one_in else {
            if self.cold_part.is_some() {
                misuse!("cold_part says which items are cold: it needs cold_one_in");
            }
            return Ok(());
        };
        if one_in < 2 {
            misuse!("cold_one_in = {one_in}: must be at least 2, or all items are cold");
        }
        if let Some(part) = self.cold_part.filter(|part| *part >= one_in) {
            misuse!("cold_part = {part}: must be below cold_one_in = {one_in}");
        }
        match self.by {
            SplitBy::Days | SplitBy::Given => misuse!(
                "cold_one_in is not for a split by days or a given one: whether their test knows an \
                 item decides who tests"
            ),
            SplitBy::None => misuse!(
                "cold_one_in is for measuring, and a split by none measures nothing: leave it out"
            ),
            _ => Ok(()),
        }
    }
}

/// An id as a number.
fn number(id: &str) -> u64 {
    let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        let mut crc = Crc::new();
        crc.update(id.as_bytes());
        return crc.sum().into();
    }
    let more = |number: u64, byte: u8| number.wrapping_mul(10).wrapping_add((byte - b'0').into());
    id.bytes().fold(0, more)
}

#[cfg(test)]
mod tests;
