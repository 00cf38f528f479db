// SPDX-License-Identifier: Apache-2.0
// Depthwise convolutions from signs to signs, a channel for each output: lanes are channels, as they lie in a pixel,
// and counts are vertical. README.md explains it.
#ifndef HT_BINARY_DEPTHWISE_H
#define HT_BINARY_DEPTHWISE_H

#include "kernels.h"

/// Whether this is how a convolution is done; `layout` is that of a group.
bool ht_binary_depthwise_applies(const ht_binary_layout *layout, const ht_conv *conv, ht_dtype x, ht_dtype y);

/// Scratch of one thread.
size_t ht_binary_depthwise_scratch(const ht_binary_layout *layout, const ht_conv *conv);

/// One thread's share of all groups, whose blobs lie one behind the other.
void ht_binary_depthwise_run(const ht_binary_task *task);

#endif
