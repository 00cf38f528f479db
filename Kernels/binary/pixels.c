// SPDX-License-Identifier: Apache-2.0
#include "pixels.h"

ht_status ht_binary_pixels_bytes(const ht_binary_layout *l, size_t *bytes) {
    (void)l;
    *bytes = 0;
    return HT_OK;
}

void ht_binary_pixels_pack(const ht_binary_layout *l, void *packed) { (void)l, (void)packed; }

ht_status ht_binary_pixels_check(const ht_binary_layout *l, const void *packed) {
    (void)l, (void)packed;
    return HT_OK;
}

bool ht_binary_pixels_pays(const ht_binary_layout *l, const ht_conv *conv) {
    (void)l, (void)conv;
    return false;
}

bool ht_binary_pixels_applies(const ht_binary_task *task) {
    (void)task;
    return false;
}

ht_status ht_binary_pixels_scratch(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    (void)l, (void)conv, (void)t;
    *bytes = 0;
    return HT_OK;
}

void ht_binary_pixels_run(const ht_binary_task *task) { (void)task; }
