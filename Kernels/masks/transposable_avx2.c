// SPDX-License-Identifier: Apache-2.0
// Masks that are N:M both ways in AVX2.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#include "core/simd.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#endif

typedef __m256i ht_ints;
typedef __m256i ht_imask;  // all bits of a lane or none

enum { HT_LANES = 8 };

HT_INLINE ht_ints ht_isplat(int32_t x) { return _mm256_set1_epi32(x); }
HT_INLINE ht_ints ht_iload(const int32_t *from) { return _mm256_load_si256((const __m256i *)(const void *)from); }
HT_INLINE void ht_istore(int32_t *to, ht_ints a) { _mm256_store_si256((__m256i *)(void *)to, a); }
HT_INLINE ht_ints ht_iadd(ht_ints a, ht_ints b) { return _mm256_add_epi32(a, b); }
HT_INLINE ht_ints ht_isub(ht_ints a, ht_ints b) { return _mm256_sub_epi32(a, b); }
HT_INLINE ht_ints ht_imax(ht_ints a, ht_ints b) { return _mm256_max_epi32(a, b); }
HT_INLINE ht_ints ht_imin(ht_ints a, ht_ints b) { return _mm256_min_epi32(a, b); }
HT_INLINE ht_ints ht_iabs(ht_ints a) { return _mm256_abs_epi32(a); }
HT_INLINE ht_ints ht_iand(ht_ints a, ht_ints b) { return _mm256_and_si256(a, b); }
HT_INLINE ht_ints ht_ior(ht_ints a, ht_ints b) { return _mm256_or_si256(a, b); }
HT_INLINE ht_ints ht_ixor(ht_ints a, ht_ints b) { return _mm256_xor_si256(a, b); }
HT_INLINE ht_ints ht_ihalf(ht_ints a) { return _mm256_srai_epi32(a, 1); }
HT_INLINE ht_ints ht_ileft(ht_ints a, int bits) { return _mm256_slli_epi32(a, bits); }
HT_INLINE ht_ints ht_iright(ht_ints a, int bits) { return _mm256_srli_epi32(a, bits); }
HT_INLINE ht_ints ht_iright_by(ht_ints a, ht_ints bits) { return _mm256_srlv_epi32(a, bits); }  // 0 from 32 bits on
HT_INLINE ht_imask ht_igreater(ht_ints a, ht_ints b) { return _mm256_cmpgt_epi32(a, b); }
HT_INLINE ht_imask ht_iequal(ht_ints a, ht_ints b) { return _mm256_cmpeq_epi32(a, b); }
HT_INLINE ht_imask ht_ihas(ht_ints a, ht_ints bit) { return _mm256_cmpeq_epi32(_mm256_and_si256(a, bit), bit); }
HT_INLINE ht_ints ht_iwhere(ht_imask mask, ht_ints a, ht_ints b) { return _mm256_blendv_epi8(b, a, mask); }
HT_INLINE bool ht_iany(ht_imask mask) { return _mm256_movemask_epi8(mask) != 0; }
HT_INLINE bool ht_inonzero(ht_ints a) { return !_mm256_testz_si256(a, a); }

#include "transposable_lanes.h"

void ht_transposable_mask_avx2(const ht_transposable_task *task) { solve_task(task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
