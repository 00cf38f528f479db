// SPDX-License-Identifier: Apache-2.0
// The error of GELU in units of the last place, and that each row of the table gives the same bits.
//   gelu [STEP]    every STEP-th float there is; 1 = all of them, which takes ten minutes. 9973 if not given.
// A product without columns applies its epilogue to what is added to it, so this goes through the public calls.
#include <halftone.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { rows = 64, columns = 1024, count = rows * columns };

static const double bound = 3.6;  // Docs/Numerics.md

typedef struct worst {
    double error;
    float at;
} worst;

static void apply_gelu(const void *packed, size_t size, ht_isa isa, const float *x, float *y) {
    const ht_epilogue epilogue = {.activation = HT_ACTIVATION_GELU, .residual = x};
    const ht_options options = {.threads = 1, .isa = isa};
    ht_status status = ht_nm_gemm_f32(rows, columns, 0, NULL, 0, packed, size, &epilogue, y, 0, &options);
    if (status) {
        printf("%s: %s\n", ht_isa_name(isa), ht_status_text(status));
        exit(1);
    }
}

static bool is_same(float a, float b) { return !memcmp(&a, &b, sizeof a) || (isnan(a) && isnan(b)); }

// One unit is the distance of the floats about the exact value; they are 2^-149 apart near zero.
static double error_of(float x, float y) {
    if (isnan(x)) return isnan(y) ? 0 : INFINITY;
    if (isinf(x)) return y == (x < 0 ? 0 : x) ? 0 : INFINITY;
    double exact = 0.5 * x * erfc(-x * sqrt(0.5));
    int exponent;
    frexp(exact, &exponent);
    return fabs(y - exact) / ldexp(1, exponent < -125 ? -149 : exponent - 24);
}

static bool check(const void *packed, size_t size, uint64_t step) {
    static ht_kernel_info kernels[256];
    static float x[count], first[count], y[count];
    size_t kernel_count = ht_kernels(kernels, 256), differences = 0;
    worst found = {0};
    for (uint64_t from = 0; from >> 32 == 0; from += count * step) {
        for (size_t i = 0; i < count; i++) {
            uint32_t bits = (uint32_t)(from + i * step);
            memcpy(&x[i], &bits, sizeof bits);
        }
        apply_gelu(packed, size, HT_ISA_REF, x, first);
        for (size_t k = 0; k < kernel_count; k++) {
            if (strcmp(kernels[k].op, "nm_gemm_f32") || !kernels[k].runs) continue;
            apply_gelu(packed, size, (ht_isa)ht_isa_named(kernels[k].isa), x, y);
            for (size_t i = 0; i < count; i++) differences += !is_same(y[i], first[i]);
        }
        for (size_t i = 0; i < count; i++) {
            double error = error_of(x[i], first[i]);
            if (!(error <= found.error)) found = (worst){error, x[i]};
        }
    }
    printf("at most %.3f units, at %a; %zu values differ between rows\n", found.error, (double)found.at, differences);
    return found.error <= bound && differences == 0;
}

int main(int argument_count, char **arguments) {
    uint64_t step = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : 9973;
    size_t size;
    if (step == 0 || ht_nm_packed_size(columns, 0, 1, 2, HT_DTYPE_F32, NULL, &size)) return 1;
    void *packed = ht_allocate(size);
    if (!packed || ht_nm_pack_f32(columns, 0, 1, 2, NULL, 0, NULL, 0, packed, size, NULL)) return 1;
    bool holds = check(packed, size, step);
    ht_free(packed);
    return holds ? 0 : 1;
}
