// SPDX-License-Identifier: Apache-2.0
// What happens to a sum before it is stored, for vectors of any ISA: included behind vec_<isa>.h. All do the same
// operations in the same order, and no product meets a sum but in a fused multiply-add, which no compiler contracts
// further, so a value has the same bits everywhere.
#ifndef HT_CORE_EPILOGUE_H
#define HT_CORE_EPILOGUE_H

#include <math.h>
#include <stdbool.h>

#include "halftone/base.h"

/// An epilogue made ready for vectors.
typedef struct ht_finish {
    ht_vec low, high;    // infinite where nothing is cut off
    bool gelu;
    size_t residual_size;  // bytes of a value: 4 (f32), 2 (bf16), 0: there is no residual
} ht_finish;

/// `output` is the type of y.
HT_INLINE ht_finish ht_make_finish(const ht_epilogue *e, ht_dtype output) {
    ht_finish f = {ht_vsplat(-INFINITY), ht_vsplat(INFINITY), e->activation == HT_ACTIVATION_GELU, 0};
    if (e->residual) f.residual_size = output == HT_DTYPE_BF16 ? 2 : 4;
    if (e->activation == HT_ACTIVATION_RELU) f.low = ht_vsplat(0);
    if (e->activation == HT_ACTIVATION_CLAMP) {
        f.low = ht_vsplat(e->low);
        f.high = ht_vsplat(e->high);
    }
    return f;
}

/// Whether ht_cut_off is all that there is to do. Asked once, before a loop, it keeps that loop short.
HT_INLINE bool ht_only_cuts_off(const ht_finish *f) { return !f->gelu && !f->residual_size; }

HT_INLINE ht_vec ht_cut_off(const ht_finish *f, ht_vec v) { return ht_at_most(ht_at_least(v, f->low), f->high); }

/// v/2 (1 + erf(v / sqrt 2)) = v Phi(v), off by at most 3.6 units in the last place of the result, subnormal or not.
/// With a = |v| it is -h for v < 0 and v - h for others, where h = a Phi(-a) = u G(u) exp(-a²/2), u = a / (a + 3),
/// and G is so smooth that a polynomial of degree 9 serves all a up to 15, where h is no longer a float.
HT_INLINE ht_vec ht_gelu(ht_vec v) {
    ht_vec a = ht_at_most(ht_vabs(v), ht_vsplat(15));

    // exp(-a²/2) = 2^n (1 + p), p a polynomial in r = a² + 2 n ln 2 with |r| <= ln 2. a² is square - lost. Adding
    // `shift` rounds n to an integer and leaves n + 64 + 127 in the low bits: 2^(n + 64) is no subnormal number.
    const ht_vec shift = ht_vsplat(0x1.8p23f + 191);
    ht_vec square = ht_vmul(a, a), lost = ht_vnfma(a, a, square);
    ht_vec shifted = ht_vfma(square, ht_vsplat(-0x1.715476p-1f), shift), n = ht_vsub(shifted, shift);
    ht_vec r = ht_vfma(n, ht_vsplat(0x1.62e430p0f), square);
    r = ht_vsub(ht_vfma(n, ht_vsplat(-0x1.05c610p-28f), r), lost);
    ht_vec p = ht_vfma(r, ht_vsplat(0x1.6ae6e4p-16f), ht_vsplat(-0x1.1267dap-12f));
    p = ht_vfma(p, r, ht_vsplat(0x1.555824p-9f));
    p = ht_vfma(p, r, ht_vsplat(-0x1.555418p-6f));
    p = ht_vfma(p, r, ht_vsplat(0x1p-3f));
    p = ht_vfma(p, r, ht_vsplat(-0x1p-1f));
    p = ht_vmul(p, r);

    ht_vec u = ht_vdiv(a, ht_vadd(a, ht_vsplat(3))), t = ht_vsub(u, ht_vsplat(0.25f));
    ht_vec g = ht_vfma(t, ht_vsplat(0x1.af6f62p-6f), ht_vsplat(-0x1.c8fe98p-4f));
    g = ht_vfma(g, t, ht_vsplat(0x1.5e5674p-5f));
    g = ht_vfma(g, t, ht_vsplat(0x1.35325ep-3f));
    g = ht_vfma(g, t, ht_vsplat(0x1.8a4456p-6f));
    g = ht_vfma(g, t, ht_vsplat(-0x1.572f2ap-2f));
    g = ht_vfma(g, t, ht_vsplat(-0x1.afd6dap-4f));
    g = ht_vfma(g, t, ht_vsplat(0x1.1caed0p0f));
    g = ht_vfma(g, t, ht_vsplat(-0x1.890c92p0f));
    g = ht_vfma(g, t, ht_vsplat(0x1.0bdb2ep0f));

    ht_vec h = ht_vmul(u, g);
    h = ht_vmul(ht_vfma(h, p, h), ht_power_of_two(shifted));
    const ht_vec unscale = ht_vsplat(-0x1p-64f);
    return ht_where_negative(v, ht_vmul(h, unscale), ht_vfma(h, unscale, v));
}

/// activation(v + residual), where v is the sum with its scale and bias, and `residual` points to the first lane's.
HT_INLINE ht_vec ht_finished(const ht_finish *f, ht_vec v, const void *residual, ht_lanes in) {
    if (f->residual_size == 4) v = ht_vadd(v, ht_load_f32(residual, in));
    if (f->residual_size == 2) v = ht_vadd(v, ht_load_bf16(residual, in));
    return f->gelu ? ht_gelu(v) : ht_cut_off(f, v);
}

#endif
