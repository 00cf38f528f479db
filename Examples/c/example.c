// SPDX-License-Identifier: Apache-2.0
// Y = X * transpose(W) with 2 of each 4 weights kept. After `cmake --install`:
//   cc example.c $(pkg-config --cflags --libs halftone) -o example
#include <halftone.h>
#include <stdio.h>
#include <stdlib.h>

enum { outputs = 3072, inputs = 768, rows = 128 };

static float w[outputs][inputs], x[rows][inputs], y[rows][outputs];

static void must(ht_status status) {
    if (status) fprintf(stderr, "%s\n", ht_status_text(status)), exit(1);
}

int main(void) {
    for (int i = 0; i < outputs * inputs; i++) w[0][i] = (float)(i % 37 - 18);
    for (int i = 0; i < rows * inputs; i++) x[0][i] = (float)(i % 5 - 2);

    size_t size;
    must(ht_nm_prune_f32(outputs, inputs, 2, 4, w[0], 0, w[0], 0, NULL));
    must(ht_nm_packed_size(outputs, inputs, 2, 4, HT_DTYPE_F32, NULL, &size));
    void *packed = ht_allocate(size);
    must(ht_nm_pack_f32(outputs, inputs, 2, 4, w[0], 0, NULL, 0, packed, size, NULL));
    must(ht_nm_gemm_f32(rows, outputs, inputs, x[0], 0, packed, size, NULL, y[0], 0, NULL));
    ht_free(packed);

    float expected = 0;
    for (int i = 0; i < inputs; i++) expected += x[5][i] * w[7][i];
    printf("y[5][7] = %g, expected %g\n", (double)y[5][7], (double)expected);
    return y[5][7] != expected;
}
