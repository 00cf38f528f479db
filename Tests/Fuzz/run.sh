#!/bin/sh
# Fuzzes each family for so many seconds (60 unless told): Tests/Fuzz/run.sh [seconds]
# A failure leaves its input in build/fuzz; give that file to the target to see it again.
set -eu

seconds=${1:-60}
cd "$(dirname "$0")/../.."
mkdir -p build/fuzz

# Threads that wait must not spin: many short calls.
export KMP_BLOCKTIME=0

# Tracing each comparison of the inner loops would take two thirds of the time.
for target in Tests/Fuzz/*.c; do
    family=$(basename "$target" .c)
    clang -g -O2 -Wall -Wextra -fuse-ld=lld -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fno-sanitize-coverage=trace-cmp \
        -IKernels -IKernels/include "$target" Kernels/core/*.c Kernels/nm/*.c -lm -ldl -o "build/fuzz/$family"
    mkdir -p "build/fuzz/corpus-$family"
    "build/fuzz/$family" -max_total_time="$seconds" -max_len=1024 -len_control=0 -detect_leaks=0 -rss_limit_mb=1024 -timeout=20 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/$family-" \
        "build/fuzz/corpus-$family" "Tests/Fuzz/corpus/$family"
done
