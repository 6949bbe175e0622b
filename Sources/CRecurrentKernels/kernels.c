/* Instances of the kernel template and their choice at run time. */
#include "recurrent_kernels.h"

#include <float.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define RK_SCRATCH 16384
/* Floats of the panels of a chunk: 12 KiB, beside the weights of one unit block in a first cache of 32 KiB. */
#define RK_PANEL_FLOATS 3072
/* Rows of two packed vectors that stay in the first cache during a matrix product. */
#define RK_GEMM_DEPTH 256
/* Accumulators of one stream in a tile. */
#define RK_TILE_MAX 4
/* tanh rounds to 1 beyond 9.02; 1 / (1 + exp(87)) is the smallest value before underflow. */
#define RK_TANH_BOUND 9.1f
#define RK_SIGMOID_BOUND 87.0f
/* Forms of a kernel: any activations; sigmoid gates and tanh, compiled in; these with products by pairs. */
enum { RK_GENERAL = 0, RK_PLAIN = 1, RK_PAIRED = 2 };
#define RK_JOIN2(a, b) a##_##b
#define RK_JOIN(a, b) RK_JOIN2(a, b)

#pragma STDC FP_CONTRACT ON
/* Every function that passes a vector is inlined into its caller: no call crosses an ABI. */
#pragma clang diagnostic ignored "-Wpsabi"

int32_t rk_gates(int32_t cell) { return cell == RK_ELMAN ? 1 : cell == RK_LSTM ? 4 : 3; }
int32_t rk_accumulators(int32_t cell) { return cell == RK_ELMAN ? 1 : cell == RK_GRU_RESET_BEFORE ? 3 : 4; }

#if defined(__x86_64__)

#define RK_V 4
#define RK_M4 2
#define RK_M4P 2
#define RK_HAS_PAIRS 0
#define RK_AVX512 0
#define RK_MD 3
#define RK_U1 6
#define RK_U4 2
#define RK_P 4
#define RK_S 6144
#define RK_FUSED 0
#define RK_LABEL "sse2"
#define RK(n) RK_JOIN(n, sse2)
#include "kernel_template.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define RK_V 8
#define RK_M4 3
#define RK_M4P 3
#define RK_HAS_PAIRS 0
#define RK_AVX512 0
#define RK_MD 3
#define RK_U1 6
#define RK_U4 2
#define RK_P 6
#define RK_S 6144
#define RK_FUSED 1
#define RK_LABEL "avx2"
#define RK(n) RK_JOIN(n, avx2)
#include "kernel_template.h"
/* The sixteen-lane geometry of AVX-512 on pairs of AVX2 registers: lets a machine without AVX-512 test it. */
#define RK_V 16
#define RK_M4 2
#define RK_M4P 2
#define RK_HAS_PAIRS 1
#define RK_AVX512 0
#define RK_MD 1
#define RK_U1 3
#define RK_U4 1
#define RK_P 3
#define RK_S 6144
#define RK_FUSED 1
#define RK_LABEL "avx2x2"
#define RK(n) RK_JOIN(n, avx2x2)
#include "kernel_template.h"
#pragma clang attribute pop

/* The bits of 2^(j/32), j = 0..31, less j << 18. */
static const uint32_t rk_fractions[32] __attribute__((aligned(64))) = {
    0x3F800000, 0x3F7ECD87, 0x3F7DAAC3, 0x3F7C980F, 0x3F7B95C2, 0x3F7AA43A, 0x3F79C3D3, 0x3F78F4F0,
    0x3F7837F0, 0x3F778D3A, 0x3F76F532, 0x3F767043, 0x3F75FED7, 0x3F75A15B, 0x3F75583F, 0x3F7523F6,
    0x3F7504F3, 0x3F74FBAF, 0x3F7508A4, 0x3F752C4D, 0x3F75672A, 0x3F75B9BE, 0x3F76248C, 0x3F76A81E,
    0x3F7744FD, 0x3F77FBB8, 0x3F78CCDF, 0x3F79B907, 0x3F7AC0C7, 0x3F7BE4BA, 0x3F7D257D, 0x3F7E83B3};

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma"))), apply_to = function)
#define RK_V 16
#define RK_M4 6
#define RK_M4P 4
#define RK_HAS_PAIRS 1
#define RK_AVX512 1
#define RK_MD 6
#define RK_U1 8
#define RK_U4 2
#define RK_P 8
#define RK_S 73728
#define RK_FUSED 1
#define RK_LABEL "avx512"
#define RK(n) RK_JOIN(n, avx512)
#include "kernel_template.h"
#pragma clang attribute pop

static const rk_table *const rk_tables[] = {&paired_table_avx512, &table_avx512,  &table_avx2,
                                            &table_sse2,          &table_avx2x2, &paired_table_avx2x2};

int32_t rk_table_usable(int32_t index) {
    __builtin_cpu_init();
    switch (index) {
    case 0: return __builtin_cpu_is("amd") && rk_table_usable(1); /* adders beside the multipliers */
    case 1:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")
               && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
    case 2:
    case 4:
    case 5: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case 3: return 1;
    default: return 0;
    }
}

#elif defined(__aarch64__)

#define RK_V 4
#define RK_M4 4
#define RK_M4P 4
#define RK_HAS_PAIRS 0
#define RK_AVX512 0
#define RK_MD 6
#define RK_U1 8
#define RK_U4 4
#define RK_P 8
#define RK_S 6144
#define RK_FUSED 1
#define RK_LABEL "neon"
#define RK(n) RK_JOIN(n, neon)
#include "kernel_template.h"

static const rk_table *const rk_tables[] = {&table_neon};
int32_t rk_table_usable(int32_t index) { return index == 0; }

#else

#define RK_V 4
#define RK_M4 2
#define RK_M4P 2
#define RK_HAS_PAIRS 0
#define RK_AVX512 0
#define RK_MD 3
#define RK_U1 4
#define RK_U4 2
#define RK_P 4
#define RK_S 6144
#define RK_FUSED 0
#define RK_LABEL "portable"
#define RK(n) RK_JOIN(n, portable)
#include "kernel_template.h"

static const rk_table *const rk_tables[] = {&table_portable};
int32_t rk_table_usable(int32_t index) { return index == 0; }

#endif

#define RK_TABLES ((int32_t)(sizeof rk_tables / sizeof rk_tables[0]))

const rk_table *rk_table_at(int32_t index) { return index >= 0 && index < RK_TABLES ? rk_tables[index] : NULL; }

const rk_table *rk_best(void) {
    static const rk_table *chosen; /* every thread that races here writes the same value */
    const rk_table *table = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
    if (table) return table;
    for (int32_t i = 0; i < RK_TABLES && !table; i++)
        if (rk_table_usable(i)) table = rk_tables[i];
    __atomic_store_n(&chosen, table, __ATOMIC_RELEASE);
    return table;
}
