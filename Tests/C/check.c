// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long passed, failed;
static char subject[160];  // what is being checked, for the message of a failure

void check(bool holds, const char *condition, int line) {
    if (holds)
        passed++;
    else if (failed++ < 20)
        printf("line %d: %s is false [%s]\n", line, condition, subject);
}

void checking(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(subject, sizeof subject, format, arguments);
    va_end(arguments);
}

int finish(void) {
    printf("%ld passed, %ld failed\n", passed, failed);
    return failed ? 1 : 0;
}

uint32_t next_random(void) {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

bool is_skipped(void) {
    const char *share = getenv("HALFTONE_TEST_SHARE");
    const int n = share ? atoi(share) : 1;
    return n > 1 && next_random() % (uint32_t)n != 0;
}

void *allocate(size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) exit(2);
    return memory;
}

bool is_filled(const void *memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (((const uint8_t *)memory)[i] != 0x5a) return false;
    return true;
}

size_t runnable(const char *op, ht_isa *list, size_t capacity) {
    ht_kernel_info rows[64];
    size_t count = ht_kernels(rows, COUNT(rows)), found = 0;
    for (size_t i = 0; i < count && i < COUNT(rows) && found < capacity; i++)
        if (!strcmp(rows[i].op, op) && rows[i].runs) list[found++] = (ht_isa)ht_isa_named(rows[i].isa);
    return found;
}
