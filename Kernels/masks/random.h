// SPDX-License-Identifier: Apache-2.0
// Numbers at random, the same on every machine (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
// generators").
#ifndef HT_MASKS_RANDOM_H
#define HT_MASKS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct ht_random {
    uint64_t state;
} ht_random;

static inline uint64_t ht_random_word(ht_random *random) {
    uint64_t x = random->state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/// A stream of its own for each number.
static inline ht_random ht_random_stream(uint64_t seed, uint64_t number) {
    ht_random random = {seed};
    random.state = ht_random_word(&random) + number;
    random.state = ht_random_word(&random);
    return random;
}

/// Below `end`, which is at most 2^32.
static inline size_t ht_random_below(ht_random *random, size_t end) {
    return (size_t)((ht_random_word(random) >> 32) * end >> 32);
}

static inline void ht_random_shuffle(ht_random *random, uint32_t *numbers, size_t count) {
    for (size_t i = count; i > 1; i--) {
        const size_t j = ht_random_below(random, i);
        const uint32_t last = numbers[i - 1];
        numbers[i - 1] = numbers[j];
        numbers[j] = last;
    }
}

#endif
