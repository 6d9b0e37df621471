//! `"auto"`: what depends on the log.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `"auto"`, as files have it.
const AUTO: &str = "auto";

/// How much a log holds, all parts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSize {
    pub users: u64,
    pub interactions: u64,
}

impl LogSize {
    /// The history that an encoder should read: twice as many items as a sequence has on average,
    /// which most sequences do not exceed, in tens from 20 to 200.
    pub fn history(self) -> usize {
        let twice = 2 * self.interactions / self.users.max(1);
        twice.clamp(20, 200).next_multiple_of(10) as usize
    }
}

/// `tower.history` as a file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistorySetting {
    /// [`LogSize::history`]
    Auto,
    Items(usize),
}

impl Serialize for HistorySetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Items(items) => serializer.serialize_u64(items as u64),
        }
    }
}

impl<'de> Deserialize<'de> for HistorySetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl Visitor<'_> for Either {
    type Value = HistorySetting;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a whole number or \"{AUTO}\"")
    }

    fn visit_u64<E: de::Error>(self, items: u64) -> Result<HistorySetting, E> {
        Ok(HistorySetting::Items(items as usize))
    }

    fn visit_i64<E: de::Error>(self, items: i64) -> Result<HistorySetting, E> {
        let wrong = |_| E::invalid_value(de::Unexpected::Signed(items), &self);
        usize::try_from(items).map(HistorySetting::Items).map_err(wrong)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HistorySetting, E> {
        match text {
            AUTO => Ok(HistorySetting::Auto),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn a_history_is_twice_the_mean_sequence_in_tens() {
        let of = |users, interactions| LogSize { users, interactions }.history();
        for (users, interactions, history) in
            [(22_363, 198_502, 20), (100, 1_050, 30), (4_110, 396_370, 200), (10, 90_000, 200)]
        {
            assert_eq!(of(users, interactions), history, "{interactions} of {users}");
        }
    }

    #[test]
    fn a_file_may_leave_the_history_to_the_log() {
        let settings = |history: &str| {
            let text = format!("data.path = \"there\"\ntower.history = {history}");
            toml::from_str::<Settings>(&text)
        };
        let asked = |folder: &std::path::Path| {
            assert_eq!(folder.to_str(), Some("there"));
            Ok(LogSize { users: 2, interactions: 50 })
        };
        let fitted = settings("\"auto\"").unwrap().fitted(asked).unwrap();
        assert_eq!(fitted.tower.history, HistorySetting::Items(50));
        let given = settings("7").unwrap().fitted(|_| panic!("nobody has to be asked")).unwrap();
        assert_eq!(given.checked().unwrap().tower.history, 7);
        let unknown = settings("\"auto\"").unwrap().checked().unwrap_err().to_string();
        assert!(unknown.contains("tower.history = \"auto\""), "{unknown}");
        for wrong in ["\"all\"", "-3", "2.5", "true"] {
            let error = settings(wrong).unwrap_err().to_string();
            assert!(error.contains("a whole number or \"auto\""), "{wrong}: {error}");
        }
    }
}
