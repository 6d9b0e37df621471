#!/bin/sh
# cargo on this crate with the tch of the libtorch before: previous.sh check --release
set -eu
cd "$(dirname -- "$0")/.."
place=target/previous
mkdir -p "$place"
for own in build.rs src benches tests; do
    ln -sfn "../../$own" "$place/$own"
done
sed 's/^\(tch\|torch-sys\) = .*/\1 = "0.24"/' Cargo.toml >"$place/Cargo.toml"
# The other crates stay as they are locked.
[ "$place/Cargo.lock" -nt Cargo.lock ] || cp Cargo.lock "$place"
cd "$place"
exec cargo "$@"
