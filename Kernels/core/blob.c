// SPDX-License-Identifier: Apache-2.0
#include "blob.h"

#include <string.h>

#include "memory.h"

static const uint64_t magic = 0x454e4f54464c4148;  // "HALFTONE"

// FNV-1a over the header's words: a flipped bit anywhere changes it.
static uint64_t check_of(const ht_blob_header *header) {
    uint64_t words[7], hash = 0xcbf29ce484222325;
    memcpy(words, header, sizeof words);
    for (int i = 0; i < 7; i++) hash = (hash ^ words[i]) * 0x100000001b3;
    return hash;
}

void ht_blob_seal(ht_blob_header *header) {
    header->magic = magic;
    header->version = HT_BLOB_VERSION;
    header->check = check_of(header);
}

ht_status ht_blob_open(const void *blob, size_t size, ht_blob_header *header) {
    if (!blob) return HT_ERROR_NULL;
    if (!ht_is_aligned(blob, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    if (size < sizeof *header) return HT_ERROR_BLOB_TRUNCATED;
    memcpy(header, blob, sizeof *header);
    if (header->magic != magic) return HT_ERROR_BLOB_FOREIGN;
    if (header->version != HT_BLOB_VERSION) return HT_ERROR_BLOB_VERSION;
    if (header->check != check_of(header)) return HT_ERROR_BLOB_CORRUPT;
    return header->bytes <= size ? HT_OK : HT_ERROR_BLOB_TRUNCATED;
}
