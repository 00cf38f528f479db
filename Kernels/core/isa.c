// SPDX-License-Identifier: Apache-2.0
#include "isa.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "nm/kernels.h"

// Every dispatch table of the library. A new family adds its tables here.
static const ht_entry *const tables[] = {ht_nm_gemm_f32_table};

static const char *const isa_names[] = {"auto", "ref", "avx2", "avx512"};
enum { isa_count = sizeof isa_names / sizeof *isa_names };

#if defined(__x86_64__)
// __builtin_cpu_supports also asks whether the operating system saves the registers.
#define HT_CPU_HAS(feature) (__builtin_cpu_supports(feature) != 0)

static bool runs(ht_isa isa) {
    __builtin_cpu_init();
    switch (isa) {
    case HT_ISA_REF: return true;
    case HT_ISA_AVX2: return HT_CPU_HAS("avx2") && HT_CPU_HAS("fma") && HT_CPU_HAS("bmi2");
    case HT_ISA_AVX512:
        return runs(HT_ISA_AVX2) && HT_CPU_HAS("avx512f") && HT_CPU_HAS("avx512bw") && HT_CPU_HAS("avx512dq") &&
               HT_CPU_HAS("avx512vl");
    default: return false;
    }
}

static void append(char *text, const char *word, bool has) {
    if (!has) return;
    if (text[0]) strcat(text, " ");
    strcat(text, word);
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
    APPEND("avx512vnni");
    APPEND("avx512vpopcntdq");
    APPEND("avx512bf16");
}
#else
static bool runs(ht_isa isa) { return isa == HT_ISA_REF; }
static void append_features(char *text) { (void)text; }
#endif

const char *ht_cpu_features(void) {
    static _Thread_local char text[128];  // a thread's own, so that no lock is needed
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
    for (; table->op; table++)
        if ((isa == HT_ISA_AUTO || isa == table->isa) && runs(table->isa)) {
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
