// SPDX-License-Identifier: Apache-2.0
// A BLAS that is found when the program runs.
#ifndef HT_DENSE_BLAS_H
#define HT_DENSE_BLAS_H

/// CBLAS with integers of 32 bits.
typedef void ht_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                      int a_stride, const float *b, int b_stride, float beta, float *c, int c_stride);

enum { HT_BLAS_ROW_MAJOR = 101, HT_BLAS_AS_IS = 111, HT_BLAS_TRANSPOSED = 112 };

/// cblas_sgemm, or null where there is none.
ht_sgemm *ht_blas_sgemm(void);

#endif
