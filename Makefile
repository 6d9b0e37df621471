# `make reproduce` and `make test` set everything up themselves; see `make help`.

# Another package index for libtorch's wheel, for example the CPU-only one that PyTorch publishes.
TORCH_INDEX ?=

# How long each part of `make soak` lasts.
MINUTES ?= 30

# What `make reproduce` is about, the file of its log where it is not yet prepared, and how many
# trainings run side by side.
DATASET ?= generated
INPUT ?=
TEST_INPUT ?=
# The data set that the sweep names.
DATA = $(shell sed -n 's/^dataset = "\(.*\)"/\1/p' experiments/$(DATASET).toml 2>/dev/null)
JOBS ?= 2

# Nothing, or `gpu`: `make bench` leaves out the tables of the host.
BENCH ?=

# 1: `make build` makes a program that trains on several machines, over MPI.
MPI ?=

# What `make fuzz` hunts (it lists the names where this is none), and for how long.
TARGET ?=
SECONDS ?= 600

# The libtorch that `make dist`, `make wheel` and `make dist-previous` build for.
LIBTORCH ?= .libtorch

CROLOSS := target/release/croloss
PIP_INDEX := $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))

.DEFAULT_GOAL := help
.PHONY: help setup build test test-cuda test-mpi lint bench growth stress soak fuzz reproduce dist wheel check-previous dist-previous clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## Make .venv with the pinned libtorch; TORCH_INDEX=URL takes it from another index

.venv/.ready: requirements.txt
	@command -v cargo >/dev/null || { echo "Rust is missing: install it from https://rustup.rs"; exit 1; }
	@command -v c++ >/dev/null || { echo "A C++ compiler is missing: install g++ (Debian, Ubuntu: apt install g++) or clang"; exit 1; }
	@command -v python3 >/dev/null || { echo "Python 3 is missing: install python3 (Debian, Ubuntu: apt install python3 python3-venv)"; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$$(python3 --version) is too old for libtorch's wheel: install Python 3.10 or newer"; exit 1; }
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv is missing: install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_INDEX) -r requirements.txt
	ln -sfn "$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch" .libtorch
	@touch $@

.venv/.dev: .venv/.ready python/requirements.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r python/requirements.txt
	@touch $@

build: setup $(if $(MPI),mpi-is-here) ## Build target/release/croloss; MPI=1: to train by several processes, too
	cargo build --release $(if $(MPI),--features mpi)

mpi-is-here:
	@command -v mpicc >/dev/null || { echo "MPI is missing: install Open MPI or MPICH (Debian, Ubuntu: apt install openmpi-bin libopenmpi-dev libclang-dev)"; exit 1; }

test: lint check-previous ## Run every check and test
	cargo test --release --lib --bins --tests

test-cuda: setup ## Run the tests of the GPU's path: on the machine's GPU, else on a pretended one
	cargo test --release --test cuda

test-mpi: setup mpi-is-here ## Run the tests of several processes, over MPI
	cargo clippy --release --features mpi --all-targets -- -D warnings
	cargo test --release --features mpi --test mpi

lint: .venv/.dev ## Check formatting, lints, types and documentation
	cargo fmt --check
	cd python && ../.venv/bin/ruff format --check && ../.venv/bin/ruff check && ../.venv/bin/mypy
	.venv/bin/hadolint dist/Dockerfile
	.venv/bin/kubernetes-validate --strict --quiet dist/kubernetes.yaml
	cargo clippy --release --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --quiet

bench: setup ## Measure a training step and the ranking, on a GPU too where there is one; BENCH=gpu: there alone
	cargo bench --bench speed -- $(BENCH)

growth: setup ## Measure how preparation, a step, ranking and checkpoints grow with what they are of
	cargo bench --bench growth

stress: setup ## Kill trainings of every kind, fail every operation on files, and compare with the unbroken ones
	cargo test --release --test resume --test faults -- --ignored --nocapture

soak: setup ## Load the service while its export is replaced, and kill a sweep: MINUTES=30
	MINUTES=$(MINUTES) cargo test --release --test soak -- --ignored --nocapture

fuzz: setup ## Hunt what reads files and requests with random input: TARGET=delimited, SECONDS=600
	cd fuzz && cargo build --release
	@mkdir -p fuzz/corpus/$(TARGET) fuzz/artifacts
	cd fuzz && FUZZ_TARGET=$(TARGET) FUZZ_SEEDS=corpus/$(TARGET) LD_LIBRARY_PATH=../.libtorch/lib \
	target/release/croloss-fuzz corpus/$(TARGET) -dict=corpus/$(TARGET).dict \
	-artifact_prefix=artifacts/$(TARGET)- -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=4096 \
	-max_len=16384 -print_final_stats=1

reproduce: build ## Regenerate the paper's tables and figures: DATASET=amazon-books, INPUT=its log, JOBS=2
	@test -f experiments/$(DATASET).toml || { echo "There is no experiments/$(DATASET).toml; DATASET is one of:" $(basename $(notdir $(shell grep -l '^dataset' experiments/*.toml))); exit 1; }
	@mkdir -p data
	@test $(DATASET) != generated || test -f data/generated.csv || $(CROLOSS) generate --preset small --out data/generated.csv
	@test -d data/$(DATA) || $(CROLOSS) prepare datasets/$(DATA).toml $(if $(INPUT),--input $(INPUT)) $(if $(TEST_INPUT),--test-input $(TEST_INPUT))
	@status=0; $(CROLOSS) sweep experiments/$(DATASET).toml --jobs $(JOBS) || status=$$?; \
	test $$status -eq 2 || $(CROLOSS) report experiments/$(DATASET).toml; exit $$status

dist: build ## Pack an archive of the program to run on other machines, into target/dist
	python3 dist/pack.py $(CROLOSS) $(LIBTORCH) target/dist

wheel: build .venv/.dev ## Build a Python wheel of the program and its module, into target/wheels
	.venv/bin/python dist/wheel.py $(CROLOSS) $(LIBTORCH) target/wheels

check-previous: setup ## Check that the program can be built for the libtorch before, 2.11
	CARGO_TARGET_DIR=$(CURDIR)/target DEP_TCH_LIBTORCH_LIB=$(CURDIR)/.libtorch/lib \
	dist/previous.sh check --release --lib --bins --tests --features tch/doc-only

dist-previous: ## Build and pack for the libtorch before: LIBTORCH=folder of a libtorch 2.11
	LIBTORCH=$(abspath $(LIBTORCH)) dist/previous.sh build --release
	cd target/previous && python3 ../../dist/pack.py target/release/croloss $(abspath $(LIBTORCH)) ../dist

clean: ## Remove what was built (.venv, data and runs stay)
	cargo clean
	rm -rf fuzz/target
