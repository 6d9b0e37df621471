#!/bin/sh
# Preparation beside polars (benches/peers/): both in turn on generated logs, wall seconds and peak memory.
#
#   benches/preparation.sh [SCALE [ROUNDS [FOLDER]]]
#
# PYTHON is one with polars (benches/peers/README.md), CROLOSS the program. At full scale the logs take 20 GB.
set -eu

scale=${1:-1} rounds=${2:-3} work=${3:-/tmp/croloss-preparation}
python=${PYTHON:-/tmp/peers/bin/python}
croloss=${CROLOSS:-target/release/croloss}
peers=$(dirname "$0")/peers
mkdir -p "$work"

measure() {
    /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$@" >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
    read -r wall user system peak <"$work/time"
    printf '%6.1f s wall  %6.1f s of CPUs  %6.2f GB\n' "$wall" "$(echo "$user + $system" | bc)" \
        "$(echo "scale=3; $peak * 1.024 / 1000000" | bc)"
}

for log in taobao taobao-by-time amazon-books otto; do
    name=${log%-by-time}
    raw=$work/$log
    if [ ! -d "$raw" ]; then
        if [ "$log" = "$name" ]; then
            "$croloss" generate --like "$name" --scale "$scale" --out "$raw" >/dev/null
        else
            "$python" "$peers/shuffle.py" "$work/$name/generated-UserBehavior.csv" \
                "$raw/generated-UserBehavior.csv"
        fi
    fi
    echo "$log: $(du -shc "$raw"/* | tail -n 1 | cut -f 1) at scale $scale"
    program=$peers/$(echo "$name" | tr - _).py
    for round in $(seq "$rounds"); do
        # Both find the files in memory.
        cat "$raw"/* >/dev/null
        printf '  croloss %s ' "$round"
        measure "$croloss" prepare "$name" --raw "$raw" --out "$work/ours" --force
        printf '  polars  %s ' "$round"
        measure "$python" "$program" "$raw" "$work/polars"
    done
    "$python" "$peers/check.py" "$work/ours" "$work/polars"
done
