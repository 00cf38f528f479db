// SPDX-License-Identifier: Apache-2.0
// What the files of the C test share.
#ifndef TESTS_C_CHECK_H
#define TESTS_C_CHECK_H

#include <halftone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK(condition) check(condition, #condition, __LINE__)
#define COUNT(array) (sizeof(array) / sizeof *(array))

void check(bool holds, const char *condition, int line);

/// Says what is being checked, for the message of a failure.
void checking(const char *format, ...);

/// Says how many conditions held; what the program returns.
int finish(void);

uint32_t next_random(void);

/// Whether to leave a case out: where HALFTONE_TEST_SHARE is n, as on machines that are emulated only so that their
/// instructions are met once, all but one of n, at random.
bool is_skipped(void);

/// Whether all bytes are 0x5a.
bool is_filled(const void *memory, size_t bytes);

/// Ends the test where there is no memory.
void *allocate(size_t bytes);

/// Every row of an op's dispatch table that runs here; the reference is the last.
size_t runnable(const char *op, ht_isa *list, size_t capacity);

/// Products of every type of weights, inputs and results.
void test_types(void);

/// Convolutions, and products backward.
void test_conv(void);

/// Weight gradients, dense and sampled.
void test_weight_gradients(void);

/// Backward products.
void test_backward(void);

/// Products and convolutions of signs.
void test_binary(void);

/// Trees of rows of signs, and what training takes from them.
void test_mst(void);

/// Products and convolutions of floats and bytes with signs.
void test_binary_reals(void);

/// Numbers to bits and back, and the gradients of signs.
void test_signs(void);

/// Masks by magnitude, refreshed masks, and masks by scores.
void test_masks(void);

/// Masks that are N:M both ways.
void test_transposable_masks(void);

/// Backward masks inside forward masks, and the permutations they need.
void test_bimask(void);

/// Masks and packed weights of a training step.
void test_step_pack(void);

/// What moves weights.
void test_optimizers(void);

/// Convolutions of two branches that fold into one.
void test_spre(void);

#endif
