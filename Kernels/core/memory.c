// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { huge_page = 2 << 20, huge_from = 1 << 20 };

void *ht_allocate(size_t bytes) {
    bool huge = bytes >= huge_from;
    size_t alignment = huge ? huge_page : HT_ALIGNMENT;
    size_t size;
    if (!ht_add(bytes, alignment, &size)) return NULL;
    size = (size - 1) / alignment * alignment;
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, size ? size : alignment)) return NULL;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (huge) madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}

void ht_free(void *memory) { free(memory); }

ht_status ht_take_scratch(const ht_options *options, size_t bytes, void **memory, void **own) {
    void *given = options ? options->scratch : NULL;
    if (!ht_is_aligned(given, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    if (given && options->scratch_size < bytes) return HT_ERROR_BUFFER_SIZE;
    *own = given || bytes == 0 ? NULL : ht_allocate(bytes);
    if (!given && bytes && !*own) return HT_ERROR_MEMORY;
    *memory = given ? given : *own;
    return HT_OK;
}

ht_status ht_check_matrix(const void *data, size_t rows, size_t columns, size_t element, size_t *stride) {
    size_t row_bytes, bytes;
    if (!ht_mul(columns, element, &row_bytes)) return HT_ERROR_OVERFLOW;
    if (*stride == 0) *stride = row_bytes;
    if (*stride < row_bytes || *stride % element) return HT_ERROR_STRIDE;
    if (!ht_mul(rows, *stride, &bytes) || bytes > PTRDIFF_MAX) return HT_ERROR_OVERFLOW;
    if (rows == 0 || columns == 0) return HT_OK;
    if (!data) return HT_ERROR_NULL;
    return ht_is_aligned(data, element) ? HT_OK : HT_ERROR_ALIGNMENT;
}

ht_status ht_check_permutation(const uint32_t *numbers, size_t count, size_t first) {
    if (!ht_is_aligned(numbers, sizeof *numbers)) return HT_ERROR_ALIGNMENT;
    ht_status status = HT_OK;
    bool *seen = calloc(count + 1, sizeof *seen);
    if (!seen) return HT_ERROR_MEMORY;
    for (size_t i = 0; i < count && !status; i++) {
        size_t number = numbers[i] - first;
        if (numbers[i] < first || number >= count || seen[number])
            status = HT_ERROR_PERMUTATION;
        else
            seen[number] = true;
    }
    free(seen);
    return status;
}
