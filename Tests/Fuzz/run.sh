#!/bin/sh
# Fuzzes each family for so many seconds (60 unless told): Tests/Fuzz/run.sh [seconds]
# A failure leaves its input in build/sanitize; run the target with that file to see it again.
set -eu

seconds=${1:-60}
cd "$(dirname "$0")/../.."
Utils/install cmake
build=build/sanitize
cmake -S . -B $build -DCMAKE_C_COMPILER=clang -DHALFTONE_SANITIZE=ON >/dev/null

# Threads that wait must not spin: the calls are many and short.
export KMP_BLOCKTIME=0

for corpus in Tests/Fuzz/corpus/*; do
    family=$(basename "$corpus")
    cmake --build $build --target "fuzz_$family"
    mkdir -p "$build/corpus/$family"
    $build/fuzz_"$family" -max_total_time="$seconds" -max_len=1024 -len_control=0 -detect_leaks=0 \
        -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 -artifact_prefix="$build/$family-" \
        "$build/corpus/$family" "$corpus"
done
