//! The `device` key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where tensors live: `auto`, `cpu`, `cuda` or `cuda:INDEX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first CUDA device if there is one, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// A CUDA device: the first, or one by its number.
    Cuda(Option<usize>),
}

impl DeviceChoice {
    /// Whether any GPU would do.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Auto | Self::Cuda(None))
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(None) => write!(f, "cuda"),
            Self::Cuda(Some(index)) => write!(f, "cuda:{index}"),
        }
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> String {
        choice.to_string()
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(None)),
            _ => {
                let index = text.strip_prefix("cuda:").and_then(|index| index.parse().ok());
                let index = index.filter(|&index: &usize| index < 1024);
                index.map(|index| Self::Cuda(Some(index))).ok_or_else(|| {
                    format!("device = \"{text}\": write auto, cpu, cuda or cuda:INDEX")
                })
            }
        }
    }
}
