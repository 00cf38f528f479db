// SPDX-License-Identifier: Apache-2.0
#include "channels.h"

ht_status ht_binary_channels_bytes(const ht_binary_layout *l, size_t *bytes) {
    (void)l;
    *bytes = 0;
    return HT_OK;
}

void ht_binary_channels_pack(const ht_binary_layout *l, void *packed) { (void)l, (void)packed; }

bool ht_binary_channels_pays(const ht_binary_layout *l, const ht_conv *conv) {
    (void)l, (void)conv;
    return false;
}

bool ht_binary_channels_applies(const ht_binary_task *task) {
    (void)task;
    return false;
}

ht_status ht_binary_channels_scratch(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    (void)l, (void)conv, (void)t;
    *bytes = 0;
    return HT_OK;
}

void ht_binary_channels_run(const ht_binary_task *task) { (void)task; }
