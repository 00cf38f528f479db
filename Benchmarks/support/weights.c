// SPDX-License-Identifier: Apache-2.0
// The default input of `halftone bench`; README.md says where it comes from. In a file, not beside the binary, so that
// the tool needs no path to it.
#include "CHalftoneBench.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wc23-extensions"
#endif

static const _Alignas(64) unsigned char weights[] = {
#embed "minilm.safetensors"
};

const void *htb_embedded_weights(void) { return weights; }
size_t htb_embedded_weights_size(void) { return sizeof weights; }
