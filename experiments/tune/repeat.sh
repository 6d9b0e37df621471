#!/bin/sh
# Searches a space for N = 20 and N = 500 again and again, other points each time: runs/tune-NAME-1, -2, …
#
#   experiments/tune/repeat.sh NAME CONFIG REPETITIONS [OPTIONS OF TUNE]
#
# CROLOSS is the program, RUNS the folder of the runs.
set -eu

name=$1 config=$2 repetitions=$3
shift 3
croloss=${CROLOSS:-target/release/croloss} runs=${RUNS:-runs}
mkdir -p "$runs"
# The shipped space, under one seed as the grids are.
sed 's/^seeds = .*/seeds = [1]/' configs/spaces/losses.toml >"$runs/losses-one-seed.toml"

for repetition in $(seq "$repetitions"); do
    "$croloss" tune "$config" --space "$runs/losses-one-seed.toml" --for recall@20 --for recall@500 \
        --points 30 --seed "$repetition" --set threads=1 --out "$runs/tune-$name-$repetition" "$@"
done
