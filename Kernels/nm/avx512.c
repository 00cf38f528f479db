#include "panels.h"
#if defined(__x86_64__)
void ht_nm_gemm_f32_avx512(const ht_nm_gemm_f32_task *task) { ht_nm_gemm_f32_ref(task); }
#endif
