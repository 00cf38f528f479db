// SPDX-License-Identifier: Apache-2.0
// Masks that are N:M both ways in AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#include "core/simd.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2")
#endif

typedef __m512i ht_ints;
typedef __mmask16 ht_imask;

enum { HT_LANES = 16 };

HT_INLINE ht_ints ht_isplat(int32_t x) { return _mm512_set1_epi32(x); }
HT_INLINE ht_ints ht_iload(const int32_t *from) { return _mm512_load_si512(from); }
HT_INLINE void ht_istore(int32_t *to, ht_ints a) { _mm512_store_si512(to, a); }
HT_INLINE ht_ints ht_iadd(ht_ints a, ht_ints b) { return _mm512_add_epi32(a, b); }
HT_INLINE ht_ints ht_isub(ht_ints a, ht_ints b) { return _mm512_sub_epi32(a, b); }
HT_INLINE ht_ints ht_imax(ht_ints a, ht_ints b) { return _mm512_max_epi32(a, b); }
HT_INLINE ht_ints ht_imin(ht_ints a, ht_ints b) { return _mm512_min_epi32(a, b); }
HT_INLINE ht_ints ht_iabs(ht_ints a) { return _mm512_abs_epi32(a); }
HT_INLINE ht_ints ht_iand(ht_ints a, ht_ints b) { return _mm512_and_si512(a, b); }
HT_INLINE ht_ints ht_ior(ht_ints a, ht_ints b) { return _mm512_or_si512(a, b); }
HT_INLINE ht_ints ht_ixor(ht_ints a, ht_ints b) { return _mm512_xor_si512(a, b); }
HT_INLINE ht_ints ht_ihalf(ht_ints a) { return _mm512_srai_epi32(a, 1); }
HT_INLINE ht_ints ht_ileft(ht_ints a, unsigned bits) { return _mm512_slli_epi32(a, bits); }
HT_INLINE ht_ints ht_iright(ht_ints a, unsigned bits) { return _mm512_srli_epi32(a, bits); }
HT_INLINE ht_ints ht_iright_by(ht_ints a, ht_ints bits) { return _mm512_srlv_epi32(a, bits); }  // 0 from 32 bits on
HT_INLINE ht_imask ht_igreater(ht_ints a, ht_ints b) { return _mm512_cmpgt_epi32_mask(a, b); }
HT_INLINE ht_imask ht_iequal(ht_ints a, ht_ints b) { return _mm512_cmpeq_epi32_mask(a, b); }
HT_INLINE ht_imask ht_ihas(ht_ints a, ht_ints bit) { return _mm512_test_epi32_mask(a, bit); }
HT_INLINE ht_ints ht_iwhere(ht_imask mask, ht_ints a, ht_ints b) { return _mm512_mask_blend_epi32(mask, b, a); }
HT_INLINE bool ht_iany(ht_imask mask) { return mask != 0; }
HT_INLINE bool ht_inonzero(ht_ints a) { return _mm512_test_epi32_mask(a, a) != 0; }

#include "transposable_lanes.h"

// Behind the code for lanes, which it falls back on.
#include "transposable_2_4_avx512.h"

void ht_transposable_mask_avx512(const ht_transposable_task *task) {
    if (task->n == 2 && task->m == 4 && task->dtype == HT_DTYPE_F32)
        solve_2_4_stream(task);
    else
        solve_task(task);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
