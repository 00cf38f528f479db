// SPDX-License-Identifier: Apache-2.0
#include "isa.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "binary/kernels.h"
#include "binary/signs.h"
#include "dense/kernels.h"
#include "masks/backward.h"
#include "masks/magnitude.h"
#include "masks/search.h"
#include "masks/transposable.h"
#include "nm/kernels.h"
#include "training/kernels.h"

// Every dispatch table of the library. A new family adds its tables here.
static const ht_entry *const tables[] = {ht_nm_gemm_f32_table,
                                         ht_nm_gemm_bf16_table,
                                         ht_nm_gemm_i8_table,
                                         ht_weight_gradient_f32_table,
                                         ht_nm_sampled_gradient_f32_table,
                                         ht_nm_mask_table,
                                         ht_nm_step_pack_table,
                                         ht_binary_gemm_table,
                                         ht_binary_gemm_f32_table,
                                         ht_binary_gemm_i8_table,
                                         ht_signs_table,
                                         ht_update_table,
                                         ht_bimask_backward_f32_table,
                                         ht_bimask_search_table,
                                         ht_transposable_mask_table};

static const char *const isa_names[] = {"auto",       "ref",  "avx2",    "avx512",   "avxvnni",  "avx512vnni",
                                        "avx512bf16", "neon", "neondot", "neoni8mm", "neonbf16", "avx512popcnt"};
enum { isa_count = sizeof isa_names / sizeof *isa_names };

// The ISA that another one adds to; they lead down to the reference.
static ht_isa base_of(ht_isa isa) {
    switch (isa) {
    case HT_ISA_AVX512:
    case HT_ISA_AVX_VNNI: return HT_ISA_AVX2;
    case HT_ISA_AVX512_VNNI:
    case HT_ISA_AVX512_BF16:
    case HT_ISA_AVX512_POPCNT: return HT_ISA_AVX512;
    case HT_ISA_NEON_I8MM: return HT_ISA_NEON_DOTPROD;
    case HT_ISA_NEON_DOTPROD:
    case HT_ISA_NEON_BF16: return HT_ISA_NEON;
    default: return HT_ISA_REF;
    }
}

// Whether `isa` is all of `part`.
static bool includes(ht_isa isa, ht_isa part) {
    while (isa != part && isa != HT_ISA_REF) isa = base_of(isa);
    return isa == part;
}

// Unused where no features are known.
static __attribute__((unused)) void append(char *text, const char *word, bool has) {
    if (!has) return;
    if (text[0]) strcat(text, " ");
    strcat(text, word);
}

#if defined(__x86_64__)
#include <cpuid.h>

// __builtin_cpu_supports also asks whether the operating system saves the registers.
#define HT_CPU_HAS(feature) (__builtin_cpu_supports(feature) != 0)

// Not every compiler's __builtin_cpu_supports knows these two; the registers they use are AVX's. The instruction leaves
// a virtual machine, for some ten microseconds, so it is asked once; threads that come first together find the same.
enum { ASKED = 1, F16C = 2, AVX_VNNI = 4 };

static unsigned other_features(void) {
    static _Atomic unsigned features;
    unsigned a, b, c, d, found = features;
    if (found) return found;
    found = ASKED;
    if (__get_cpuid(1, &a, &b, &c, &d) && c >> 29 & 1) found |= F16C;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1) found |= AVX_VNNI;
    features = found;
    return found;
}

static bool has_f16c(void) { return other_features() & F16C; }

static bool has_avx_vnni(void) { return other_features() & AVX_VNNI; }

static bool runs(ht_isa isa) {
    __builtin_cpu_init();
    switch (isa) {
    case HT_ISA_REF: return true;
    case HT_ISA_AVX2:
        return HT_CPU_HAS("avx2") && HT_CPU_HAS("fma") && HT_CPU_HAS("bmi") && HT_CPU_HAS("bmi2") && has_f16c();
    case HT_ISA_AVX512:
        return runs(HT_ISA_AVX2) && HT_CPU_HAS("avx512f") && HT_CPU_HAS("avx512bw") && HT_CPU_HAS("avx512dq") &&
               HT_CPU_HAS("avx512vl");
    case HT_ISA_AVX_VNNI: return runs(HT_ISA_AVX2) && has_avx_vnni();
    case HT_ISA_AVX512_VNNI:
        return runs(HT_ISA_AVX512) && HT_CPU_HAS("avx512vnni") && HT_CPU_HAS("avx512vbmi") && HT_CPU_HAS("avx512vbmi2");
    case HT_ISA_AVX512_BF16: return runs(HT_ISA_AVX512) && HT_CPU_HAS("avx512bf16");
    case HT_ISA_AVX512_POPCNT:
        return runs(HT_ISA_AVX512) && HT_CPU_HAS("avx512vpopcntdq") && HT_CPU_HAS("avx512bitalg") &&
               HT_CPU_HAS("avx512vbmi") && HT_CPU_HAS("avx512vbmi2") && HT_CPU_HAS("gfni");
    default: return false;
    }
}

static void append_features(char *text) {
#define APPEND(word) append(text, word, HT_CPU_HAS(word))
    __builtin_cpu_init();
    APPEND("avx2");
    APPEND("fma");
    APPEND("avx512f");
    APPEND("avx512bw");
    APPEND("avx512dq");
    APPEND("avx512vl");
    append(text, "f16c", has_f16c());
    append(text, "avxvnni", has_avx_vnni());
    APPEND("avx512vbmi");
    APPEND("avx512vbmi2");
    APPEND("avx512vnni");
    APPEND("avx512vpopcntdq");
    APPEND("avx512bitalg");
    APPEND("gfni");
    APPEND("avx512bf16");
}
#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>

// The words that the Linux kernel gives every process; not every C library names all bits.
static bool has_dotprod(void) { return getauxval(AT_HWCAP) >> 20 & 1; }
static bool has_i8mm(void) { return getauxval(AT_HWCAP2) >> 13 & 1; }
static bool has_bf16(void) { return getauxval(AT_HWCAP2) >> 14 & 1; }
#elif defined(__APPLE__)
#include <sys/sysctl.h>

static bool has(const char *feature) {
    int value = 0;
    size_t size = sizeof value;
    return !sysctlbyname(feature, &value, &size, NULL, 0) && value;
}

static bool has_dotprod(void) { return has("hw.optional.arm.FEAT_DotProd"); }
static bool has_i8mm(void) { return has("hw.optional.arm.FEAT_I8MM"); }
static bool has_bf16(void) { return has("hw.optional.arm.FEAT_BF16"); }
#else
static bool has_dotprod(void) { return false; }
static bool has_i8mm(void) { return false; }
static bool has_bf16(void) { return false; }
#endif

static bool runs(ht_isa isa) {
    switch (isa) {
    case HT_ISA_REF:
    case HT_ISA_NEON: return true;
    case HT_ISA_NEON_DOTPROD: return has_dotprod();
    case HT_ISA_NEON_I8MM: return has_dotprod() && has_i8mm();
    case HT_ISA_NEON_BF16: return has_bf16();
    default: return false;
    }
}

static void append_features(char *text) {
    append(text, "neon", true);
    append(text, "dotprod", has_dotprod());
    append(text, "i8mm", has_i8mm());
    append(text, "bf16", has_bf16());
}
#else
static bool runs(ht_isa isa) { return isa == HT_ISA_REF; }
static void append_features(char *text) { (void)text; }
#endif

const char *ht_cpu_features(void) {
    static _Thread_local char text[256];  // a thread's own, so that no lock is needed
    text[0] = 0;
    append_features(text);
    return text;
}

const char *ht_isa_name(ht_isa isa) { return (unsigned)isa < isa_count ? isa_names[isa] : NULL; }

int ht_isa_named(const char *name) {
    for (int i = 0; name && i < isa_count; i++)
        if (!strcmp(name, isa_names[i])) return i;
    return -1;
}

ht_status ht_pick(const ht_entry *table, ht_isa isa, const ht_entry **entry) {
    if (isa == HT_ISA_AUTO) {
        const char *name = getenv("HALFTONE_ISA");
        int named = name && *name ? ht_isa_named(name) : HT_ISA_AUTO;
        if (named < 0) return HT_ERROR_ISA;
        isa = (ht_isa)named;
    }
    if (isa != HT_ISA_AUTO && !runs(isa)) return HT_ERROR_ISA;
    for (; table->op; table++)
        if (isa == HT_ISA_AUTO ? runs(table->isa) : includes(isa, table->isa)) {
            *entry = table;
            return HT_OK;
        }
    return HT_ERROR_ISA;
}

size_t ht_kernels(ht_kernel_info *list, size_t capacity) {
    size_t count = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const ht_entry *chosen = NULL;
        ht_pick(tables[i], HT_ISA_AUTO, &chosen);
        for (const ht_entry *entry = tables[i]; entry->op; entry++, count++)
            if (list && count < capacity)
                list[count] = (ht_kernel_info){entry->op, ht_isa_name(entry->isa), runs(entry->isa), entry == chosen};
    }
    return count;
}
