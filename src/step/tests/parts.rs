//! What goes with what: losses, sources of candidates, rejections and orders, as a configuration has
//! them. `tests/cuda/` walks over the same.

pub const LOSSES: [&str; 13] = [
    "kind = \"cro\"",
    "kind = \"cro-lambda\"\nalpha = 0.6",
    "kind = \"cross-entropy\"",
    "kind = \"cross-entropy\"\nlog_q = \"corrected\"",
    "kind = \"triplet\"",
    "kind = \"bpr\"",
    "kind = \"bce\"",
    "kind = \"gbce\"",
    "kind = \"bpr-max\"",
    "kind = \"cro\"\nkernel = \"psl-tanh\"",
    "kind = \"cro-lambda\"\nrank_kernel = \"psl-relu\"\nkernel = \"psl-atan\"\nwidth = 3.0",
    "kind = \"bsl\"\npositive_temperature = 0.5\nnegative_temperature = 2.0",
    "kind = \"sl-at-k\"\nat = 5",
];

pub const SOURCES: [&str; 4] = [
    "{ from = \"uniform\", count = 20, per = \"batch\" }",
    "{ from = \"popularity\", count = 20, per = \"batch\", power = 0.5 }",
    "{ from = \"in-batch\", count = 6, per = \"session\" }",
    "{ from = \"uniform\", count = 9, per = \"batch\" }, { from = \"popularity\", count = 5, per = \"event\" }",
];

pub const REJECTS: [&str; 3] = ["none", "label", "session"];

pub const ORDERS: [&str; 3] = ["random", "shuffled", "given"];
