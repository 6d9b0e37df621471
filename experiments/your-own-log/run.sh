#!/bin/sh
# Everything behind the table of README.md: five datasets from four raw logs, their baselines, and the shipped
# configurations. Called again it goes on with what is missing.
#
#     sh experiments/your-own-log/run.sh RAW-FOLDER [SEEDS]
set -eu
raw=$1
seeds=${2:-1 2 3}
croloss=target/release/croloss
out=runs/your-own-log

prepare() {
    folder=data/$1
    shift
    [ -d "$folder" ] || $croloss prepare "$@" --out "$folder"
}
prepare beauty --input "$raw/beauty.txt.gz" --format sequences --split hash
prepare sports --input "$raw/sports.txt.gz" --format sequences --split hash
prepare retail --input "$raw/purchases.tsv.gz" --user cust --item StockCode --time ts --split hash
prepare invoices --input "$raw/purchases.tsv.gz" --user InvoiceNo --item StockCode --time ts \
    --split days --test-days 30 --min-user-count 2
prepare diginetica datasets/diginetica-sessions.toml --input "$raw/train_sessions.txt.gz" \
    --test-input "$raw/test_sessions.txt.gz"

measure() {
    run=$out/$1-$2
    [ -f "$run/result.json" ] || $croloss train "$3" --set data.path="data/$1" --set seed="$2" --out "$run" --force
    [ -f "$run/new-items.json" ] || [ "$4" = no ] ||
        $croloss evaluate "$run" --set evaluation.seen=exclude --json > "$run/new-items.json"
}
for data in beauty sports retail; do
    for seen in keep exclude; do
        $croloss baseline "data/$data" --seen "$seen"
    done
done
# Chosen on the validation part among 0.03, 0.1 and 0.3.
$croloss baseline data/retail --only ease --with ease.repeats=0.1
# What the configuration makes of tower.history = "auto".
$croloss baseline data/invoices --protocol positions --history 50 --at 10,20,100
$croloss baseline data/diginetica --protocol positions --history 20 --at 10,20,100 --only popularity,transitions,item-knn
for seed in $seeds; do
    for data in beauty sports retail; do
        measure "$data" "$seed" configs/default.toml yes
    done
    for data in invoices diginetica; do
        measure "$data" "$seed" configs/session.toml no
    done
done
python3 experiments/your-own-log/table.py "$out" $seeds
