//! Trainings of every kind.

/// A training, and by how it differs from `common::CONFIG`.
pub struct Case {
    pub name: &'static str,
    pub sets: &'static [&'static str],
}

const SESSIONS: [&str; 3] = [
    "sampling.samples=positions",
    "sampling.negatives=[{ from = \"popularity\", count = 20, per = \"session\" }, { from = \"in-batch\", count = 5, per = \"event\" }]",
    "evaluation.protocol=positions",
];

pub const MEAN_POOL: Case =
    Case { name: "mean-pool", sets: &["train.steps=3000", "loss.kind=cro-lambda", "threads=2"] };

pub const TRANSFORMER: Case = Case {
    name: "transformer",
    sets: &[
        "positions",
        "tower.encoder=transformer",
        "tower.repeats=true",
        "train.steps=120",
        "train.validate_every=30",
        "sampling.top_k=7",
        "sampling.ahead=0.3",
        "loss.kind=ssm",
        "optimizer.kind=adam",
    ],
};

/// Tables of values of items and of users, and own vectors that are left out.
pub const FEATURES: Case = Case {
    name: "features",
    sets: &[
        "train.steps=2000",
        "tower.item_features=[\"tags\", \"brand\"]",
        "tower.user_features=[\"country\"]",
        "tower.id_dropout=0.1",
    ],
};

/// Besides these: what every part of a checkpoint has to keep.
pub const MORE: [Case; 10] = [
    Case { name: "plain", sets: &["train.steps=3000", "optimizer.epsilon_form=pytorch"] },
    Case { name: "dense Adam", sets: &["train.steps=2000", "optimizer.kind=adam"] },
    Case {
        name: "Adagrad",
        sets: &["train.steps=2000", "optimizer.kind=adagrad", "tower.tied=false"],
    },
    Case {
        name: "tensor ops",
        sets: &["train.steps=400", "train.fused=false", "optimizer.epsilon_form=pytorch"],
    },
    Case {
        name: "passes",
        sets: &[
            "train.epochs=60",
            "optimizer.schedule=cosine",
            "loss.kind=bpr",
            "train.patience=3",
        ],
    },
    Case {
        name: "ahead and repeats",
        sets: &["train.steps=400", "sampling.ahead=0.5", "tower.repeats=true", "loss.kind=gbce"],
    },
    Case {
        name: "GRU of users",
        sets: &["tower.encoder=gru", "tower.dropout=0.1", "train.steps=120", "threads=2"],
    },
    Case {
        name: "GRU of sessions",
        sets: &[
            "positions",
            "tower.encoder=gru",
            "train.steps=120",
            "loss.kind=bpr-max",
            "optimizer.kind=adagrad",
        ],
    },
    Case {
        name: "features of sessions",
        sets: &[
            "positions",
            "tower.encoder=transformer",
            "tower.tied=false",
            "tower.output_bias=true",
            "tower.item_features=[\"brand\"]",
            "tower.user_features=[\"country\"]",
            "tower.id_dropout=0.1",
            "train.steps=120",
            "loss.kind=bce",
            "optimizer.kind=adagrad",
        ],
    },
    Case {
        name: "Transformer of users",
        sets: &[
            "tower.encoder=transformer",
            "tower.layer=ligr",
            "train.steps=120",
            "loss.kind=cro-lambda",
        ],
    },
];

impl Case {
    pub fn arguments(&self, out: &str) -> Vec<String> {
        let of = |set: &&'static str| match *set {
            "positions" => SESSIONS.to_vec(),
            set => vec![set],
        };
        let sets = self.sets.iter().flat_map(of);
        let sets = sets.flat_map(|set| ["--set".to_owned(), set.to_owned()]);
        let config = if self.sets.contains(&"positions") { "sessions.toml" } else { "c.toml" };
        ["train", config, "--out", out].into_iter().map(str::to_owned).chain(sets).collect()
    }
}
