// SPDX-License-Identifier: Apache-2.0
#include "library.h"

#include <dlfcn.h>
#include <string.h>

static bool find_all(void *library, size_t count, const char *const symbols[], ht_fn functions[]) {
    for (size_t i = 0; i < count; i++) {
        void *symbol = dlsym(library, symbols[i]);
        if (!symbol) return false;
        memcpy(&functions[i], &symbol, sizeof symbol);  // ISO C has no cast from void * to a function
    }
    return true;
}

bool ht_load(const char *file, size_t count, const char *const symbols[], ht_fn functions[]) {
    if (!file) return find_all(RTLD_DEFAULT, count, symbols, functions);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) return false;
    bool found = find_all(library, count, symbols, functions);
    if (!found) dlclose(library);
    return found;
}
