// SPDX-License-Identifier: Apache-2.0
// Masks that are N:M both ways in NEON.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <stdbool.h>

#include "core/simd.h"

typedef int32x4_t ht_ints;
typedef uint32x4_t ht_imask;  // all bits of a lane or none

enum { HT_LANES = 4 };

HT_INLINE ht_ints ht_isplat(int32_t x) { return vdupq_n_s32(x); }
HT_INLINE ht_ints ht_iload(const int32_t *from) { return vld1q_s32(from); }
HT_INLINE void ht_istore(int32_t *to, ht_ints a) { vst1q_s32(to, a); }
HT_INLINE ht_ints ht_iadd(ht_ints a, ht_ints b) { return vaddq_s32(a, b); }
HT_INLINE ht_ints ht_isub(ht_ints a, ht_ints b) { return vsubq_s32(a, b); }
HT_INLINE ht_ints ht_imax(ht_ints a, ht_ints b) { return vmaxq_s32(a, b); }
HT_INLINE ht_ints ht_imin(ht_ints a, ht_ints b) { return vminq_s32(a, b); }
HT_INLINE ht_ints ht_iabs(ht_ints a) { return vabsq_s32(a); }
HT_INLINE ht_ints ht_iand(ht_ints a, ht_ints b) { return vandq_s32(a, b); }
HT_INLINE ht_ints ht_ior(ht_ints a, ht_ints b) { return vorrq_s32(a, b); }
HT_INLINE ht_ints ht_ixor(ht_ints a, ht_ints b) { return veorq_s32(a, b); }
HT_INLINE ht_ints ht_ihalf(ht_ints a) { return vshrq_n_s32(a, 1); }
HT_INLINE ht_ints ht_ileft(ht_ints a, int bits) { return vshlq_s32(a, vdupq_n_s32(bits)); }

// 0 from 32 bits on. The instruction looks at the low byte of a count only, a signed one, and shifts left.
HT_INLINE ht_ints ht_iright_by(ht_ints a, ht_ints bits) {
    const uint32x4_t count = vminq_u32(vreinterpretq_u32_s32(bits), vdupq_n_u32(32));
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vnegq_s32(vreinterpretq_s32_u32(count))));
}
HT_INLINE ht_ints ht_iright(ht_ints a, int bits) { return ht_iright_by(a, vdupq_n_s32(bits)); }

HT_INLINE ht_imask ht_igreater(ht_ints a, ht_ints b) { return vcgtq_s32(a, b); }
HT_INLINE ht_imask ht_iequal(ht_ints a, ht_ints b) { return vceqq_s32(a, b); }
HT_INLINE ht_imask ht_ihas(ht_ints a, ht_ints bit) { return vtstq_s32(a, bit); }
HT_INLINE ht_ints ht_iwhere(ht_imask mask, ht_ints a, ht_ints b) { return vbslq_s32(mask, a, b); }
HT_INLINE bool ht_iany(ht_imask mask) { return vmaxvq_u32(mask) != 0; }
HT_INLINE bool ht_inonzero(ht_ints a) { return ht_iany(vtstq_s32(a, a)); }

#include "transposable_lanes.h"

void ht_transposable_mask_neon(const ht_transposable_task *task) { solve_task(task); }
#endif
