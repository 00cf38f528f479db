// SPDX-License-Identifier: Apache-2.0
// What status codes and types are called and measure.
#include "halftone/base.h"

const char *ht_status_text(ht_status status) {
    switch (status) {
    case HT_OK: return "no error";
    case HT_ERROR_NULL: return "a pointer that the call needs is null";
    case HT_ERROR_PATTERN: return "the pattern is not 1 <= N <= M <= 64, shared by 1, 2, 4 or 8 rows";
    case HT_ERROR_STRIDE:
        return "a stride is shorter than its row or no multiple of the element size, or an order is none";
    case HT_ERROR_ALIGNMENT: return "a pointer is not aligned to its element size (blobs and scratch: 64 bytes)";
    case HT_ERROR_OVERFLOW: return "a size in bytes does not fit in size_t";
    case HT_ERROR_NOT_SPARSE: return "a group of M weights holds more than N entries";
    case HT_ERROR_BUFFER_SIZE: return "the packed or scratch buffer is too small";
    case HT_ERROR_THREADS: return "the number of threads is negative";
    case HT_ERROR_WINDOW: return "the window is outside the output or not on a boundary of 16 columns";
    case HT_ERROR_ISA: return "the instruction set is unknown or does not run on this machine";
    case HT_ERROR_EPILOGUE: return "the epilogue asks for what this operation does not do, or contradicts itself";
    case HT_ERROR_MEMORY: return "there is not enough memory for the call's scratch";
    case HT_ERROR_BLOB_TRUNCATED: return "the packed blob is shorter than it says";
    case HT_ERROR_BLOB_FOREIGN: return "the bytes are no Halftone blob, or one of another operation";
    case HT_ERROR_BLOB_VERSION: return "the packed blob has a version or layout that this build does not know";
    case HT_ERROR_BLOB_CORRUPT: return "the packed blob contradicts itself";
    case HT_ERROR_BLOB_SHAPE: return "the packed blob holds weights of another shape than the call says";
    case HT_ERROR_BLOB_DTYPE: return "the operation does not take weights of this type";
    case HT_ERROR_TUNING: return "the tuning data is malformed, of another version or machine, or contradicts itself";
    case HT_ERROR_CONV:
        return "the convolution has no taps, groups that do not divide its channels, or a padding it does not know";
    case HT_ERROR_DEPTHWISE: return "a depthwise convolution: N:M weights need more than one channel in a group";
    case HT_ERROR_PERMUTATION: return "not a permutation of the output channels, or one that leaves a group";
    case HT_ERROR_ESTIMATOR: return "the gradient estimator is unknown or a parameter of it is out of its range";
    case HT_ERROR_DESIGN: return "the design of binary kernels is unknown, or this call cannot make it";
    case HT_ERROR_TREE:
        return "the parents of outputs are out of range or go in a circle, or a cluster is out of range";
    case HT_ERROR_OPTIMIZER: return "a parameter of the optimizer is out of its range";
    }
    return "unknown status";
}

size_t ht_dtype_size(ht_dtype dtype) {
    switch (dtype) {
    case HT_DTYPE_F32:
    case HT_DTYPE_I32: return 4;
    case HT_DTYPE_F16:
    case HT_DTYPE_BF16:
    case HT_DTYPE_I16: return 2;
    case HT_DTYPE_I8:
    case HT_DTYPE_U8: return 1;
    default: return 0;
    }
}
