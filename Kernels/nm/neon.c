// SPDX-License-Identifier: Apache-2.0
// The product in NEON: kernels for every index code.
#include "bf16.h"
#include "index_code.h"
#include "panels.h"

#if defined(__aarch64__)
#include "core/vec_neon.h"
#include "neon.h"
#include "tiles.h"

// The numbers of the four bytes that the floats of one slot's indices have in their window.
HT_INLINE uint8x16_t ht_float_bytes(uint32x4_t fields, const int at, const uint32_t mask) {
    uint32x4_t index = vandq_u32(vshlq_u32(fields, vdupq_n_s32(-at)), vdupq_n_u32(mask));
    return vreinterpretq_u8_u32(vmlaq_u32(vdupq_n_u32(0x03020100), index, vdupq_n_u32(0x04040404)));
}

typedef float ht_element;
typedef float32x2_t ht_weights;

#define SAMPLE_BYTES 4
#define PAIR_VALUES 2
#define LOAD_WEIGHTS(values, slot) vld1_f32((values) + (slot) * HT_NM_QUAD)
#define ADD(sums, line, weights, slot, row)                                               \
    do {                                                                                  \
        const float *from = line;                                                         \
        HT_UNROLL                                                                         \
        for (int v = 0; v < VECTORS; v++)                                                 \
            (sums)[v] = vfmaq_lane_f32((sums)[v], vld1q_f32(from + v * 4), weights, row); \
    } while (0)
#define CODE_TEMPLATE "neon_code.h"
#include "each_code.h"

// A pair of slots of a quad is a vector, the first slot in the high halves.
static void widen_f16(const void *values, size_t count, float *to) {
    for (size_t i = 0; i < count; i += 8) {
        uint32x4_t pair = vreinterpretq_u32_u16(vld1q_u16((const uint16_t *)values + i));
        vst1q_f32(to + i, vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(pair, 16))));
        vst1q_f32(to + i + 4, vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(pair))));
    }
}

static void widen_bf16(const void *values, size_t count, float *to) {
    for (size_t i = 0; i < count; i += 8) {
        uint32x4_t pair = vreinterpretq_u32_u16(vld1q_u16((const uint16_t *)values + i));
        vst1q_f32(to + i, vreinterpretq_f32_u32(vandq_u32(pair, vdupq_n_u32(0xffff0000))));
        vst1q_f32(to + i + 4, vreinterpretq_f32_u32(vshlq_n_u32(pair, 16)));
    }
}

static const ht_nm_panel_shape shapes[] = {
    {32, 0, KERNELS(panel, 8)},
    {16, 0, KERNELS(panel, 4)},
    {8, 0, KERNELS(panel, 2)},
    {4, 0, KERNELS(panel, 1)},
};

static const ht_nm_panel_shape shapes_shared2[] = {
    {32, 0, KERNELS(panel, 8_shared2)},
    {16, 0, KERNELS(panel, 4_shared2)},
    {8, 0, KERNELS(panel, 2_shared2)},
    {4, 0, KERNELS(panel, 1_shared2)},
};

static const ht_nm_panel_shape shapes_shared4[] = {
    {32, 0, KERNELS(panel, 8_shared4)},
    {16, 0, KERNELS(panel, 4_shared4)},
    {8, 0, KERNELS(panel, 2_shared4)},
    {4, 0, KERNELS(panel, 1_shared4)},
};

static const ht_nm_vectors vectors = {
    .shapes = shapes,
    .shared = {shapes_shared2, shapes_shared4},
    .shape_count = sizeof shapes / sizeof *shapes,
    TILE_FUNCTIONS,
    .widen = {widen_f16, widen_bf16},
    .strips = {{strip_2_1_1, strip_2_2_1, strip_3_1_1, strip_3_2_1}},
    .strip_rows = {1, 1, 1, 1},
};

void ht_nm_gemm_f32_neon(const ht_nm_task *task) { ht_nm_panels_run(&vectors, task); }

void ht_nm_gemm_bf16_neon(const ht_nm_task *task) { ht_nm_panels_run(&vectors, task); }
#endif
