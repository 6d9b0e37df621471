//! A number that comes back from JSON as it was: parsers of JSON may miss a float's last bit.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Written as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exact(pub f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use rand::RngExt;

    #[test]
    fn every_bit_comes_back() {
        let mut rng = stream(1, Purpose::Batch, 0);
        let drawn = (0..1000).map(|_| rng.random::<f64>() / 3.0);
        for value in drawn.chain([0.1 + 0.2, f64::MIN_POSITIVE / 3.0, f64::INFINITY]) {
            let text = serde_json::to_string(&Exact(value)).unwrap();
            let Exact(read) = serde_json::from_str(&text).unwrap();
            assert_eq!(read.to_bits(), value.to_bits(), "{text}");
        }
    }
}
