#!/bin/sh
# Cargo calls this in place of rustc. The crate that is hunted is compiled so that the fuzzer sees
# which branches an input takes and what it is compared with; every other crate as always.
case " $* " in
*" --crate-name croloss "*)
    exec "$@" -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$@"
