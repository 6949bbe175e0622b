#include "CDetectionKernels.h"
#include <math.h>
#include <string.h>

/* The vectors never cross a function boundary: every helper is inlined. */
#pragma clang diagnostic ignored "-Wpsabi"
/* What is asked to be unrolled is so where its length is known. */
#pragma clang diagnostic ignored "-Wpass-failed"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

typedef float v8f __attribute__((ext_vector_type(8)));
typedef double v8d __attribute__((ext_vector_type(8)));
typedef int32_t v8i __attribute__((ext_vector_type(8)));
typedef v8f v8fu __attribute__((aligned(4)));
typedef v8d v8du __attribute__((aligned(8)));
typedef v8i v8iu __attribute__((aligned(4)));
typedef int64_t v8l __attribute__((ext_vector_type(8)));
typedef int16_t v8s __attribute__((ext_vector_type(8)));
typedef v8s v8su __attribute__((aligned(2)));
typedef uint32_t v8u __attribute__((ext_vector_type(8)));
typedef uint16_t v8h __attribute__((ext_vector_type(8)));
typedef v8u v8uu __attribute__((aligned(4)));
/* All sides of a calibrator bank: as many registers as it takes, in work at once. */
typedef float v32f __attribute__((ext_vector_type(32)));
typedef double v32d __attribute__((ext_vector_type(32)));
typedef int32_t v32i __attribute__((ext_vector_type(32)));
typedef int64_t v32l __attribute__((ext_vector_type(32)));
typedef int16_t v32s __attribute__((ext_vector_type(32)));
typedef v32f v32fu __attribute__((aligned(4)));
typedef v32d v32du __attribute__((aligned(8)));
typedef v32i v32iu __attribute__((aligned(4)));
typedef v32s v32su __attribute__((aligned(2)));

/* Fused where the instruction set has it, else rounded twice; for any vector. */
#define FMA(a, b, c) (HAS_FMA ? __builtin_elementwise_fma(a, b, c) : (a) * (b) + (c))

/* The lesser and the greater of two vectors in one instruction; the second where the first is no number. */
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define MOST(a, b) ((a) > (b) ? (a) : (b))

/* f of every lane, by the C library. */
#define LANES(NAME, VD, n, f)                                                                                                   \
  static inline __attribute__((always_inline)) VD SET(NAME)(VD x) {                                                             \
    for (int i = 0; i < n; i++) x[i] = f;                                                                                       \
    return x;                                                                                                                   \
  }

#define LOGARITHM(NAME, VF, VI)                                                                                                \
  /* ln x for normal positive x: exponent by bits, polynomial of degree 9 on [sqrt(1/2), sqrt(2)] (Cephes logf), by halves (Estrin). */\
  static inline __attribute__((always_inline)) VF SET(NAME)(VF x) {                                                            \
    VI bits = (VI)x, e = ((bits - 0x3f3504f3) >> 23);                                                                          \
    VF m = (VF)(bits - (e << 23)) - (VF)(1.0f), k = __builtin_convertvector(e, VF), z = m * m;                                 \
    VF a = FMA((VF)(-2.4999993993E-1f), m, (VF)(3.3333331174E-1f)), b = FMA((VF)(-1.6668057665E-1f), m, (VF)(2.0000714765E-1f));\
    VF c = FMA((VF)(-1.2420140846E-1f), m, (VF)(1.4249322787E-1f)), d = FMA((VF)(-1.1514610310E-1f), m, (VF)(1.1676998740E-1f));\
    VF z2 = z * z, high = FMA((VF)(7.0376836292E-2f), z2, FMA(d, z, c)), p = FMA(high, z2, FMA(b, z, a));                      \
    VF low = FMA((VF)(-0.5f), z, k * (VF)(-2.12194440e-4f));                                                                   \
    return FMA(k, (VF)(0.693359375f), m + FMA(p, m * z, low));                                                                 \
  }

/* The rational approximation of degree 13 / 6 on [-9, 9] known from Eigen; largest error about 3e-7. */
#define TANH8_RATIONAL()                                                                                                       \
  static inline __attribute__((always_inline)) v8f SET(tanh8)(v8f x) {                                                         \
    x = __builtin_elementwise_min(__builtin_elementwise_max(x, (v8f)(-7.9f)), (v8f)(7.9f));                                    \
    v8f y = x * x, z = y * y, a = FMA((v8f)(6.37261928875436e-04f), y, (v8f)(4.89352455891786e-03f));                          \
    v8f c = FMA((v8f)(5.12229709037114e-08f), y, (v8f)(1.48572235717979e-05f));                                                \
    v8f d = FMA((v8f)(2.00018790482477e-13f), y, (v8f)(-8.60467152213735e-11f));                                               \
    a = FMA(FMA(FMA((v8f)(-2.76076847742355e-16f), z, d), z, c), z, a);                                                        \
    v8f b = FMA((v8f)(2.26843463243900e-03f), y, (v8f)(4.89352518554385e-03f));                                                \
    b = FMA(FMA((v8f)(1.19825839466702e-06f), y, (v8f)(1.18534705686654e-04f)), z, b);                                         \
    return a * x / b;                                                                                                          \
  }                                                                                                                            \
  static inline v8d SET(tanh8d)(v8d x) {                                                                                       \
    for (int i = 0; i < 8; i++) x[i] = tanh(x[i]);                                                                             \
    return x;                                                                                                                  \
  }                                                                                                                            \
  /* The upper half of a float, rounded to even (bfloat16), and back. */                                                       \
  static inline __attribute__((always_inline)) v8s SET(bfloat)(v8f x) {                                                        \
    v8u bits = (v8u)x;                                                                                                         \
    return (v8s)__builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, v8h);                                      \
  }                                                                                                                            \
  static inline __attribute__((always_inline)) v8f SET(widen)(v8s x) {                                                         \
    return (v8f)(__builtin_convertvector((v8h)x, v8u) << 16);                                                                  \
  }                                                                                                                            \
  LOGARITHM(ln, v8f, v8i)                                                                                                      \
  LOGARITHM(lnw, v32f, v32i)                                                                                                   \
  static inline __attribute__((always_inline)) v32f SET(asinh2)(v32f c) {                                                      \
    v32f a = __builtin_elementwise_abs(c + c);                                                                                 \
    return __builtin_elementwise_copysign(SET(lnw)(a + __builtin_elementwise_sqrt(a * a + (v32f)(1.0f))), c);                  \
  }                                                                                                                            \
  static inline __attribute__((always_inline)) v32f SET(log10)(v32f x) { return SET(lnw)(x) * (v32f)(0.4342944819f); }         \
  LANES(lnd, v8d, 8, log(x[i]))                                                                                                \
  LANES(asinh2d, v32d, 32, asinh(2 * x[i]))                                                                                    \
  LANES(log10d, v32d, 32, log10(x[i]))

#if defined(__x86_64__)
#define SET(name) CAT(sse2_, name)
#define HAS_FMA 0
#include "both.inc"
#undef SET
#undef HAS_FMA
#define HAS_FMA 1
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define SET(name) CAT(avx2_, name)
#include "both.inc"
#undef SET
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#define SET(name) CAT(avx512_, name)
#include "both.inc"
#undef SET
#pragma clang attribute pop
static int runs(const char *name) {
  __builtin_cpu_init();
  if (!strcmp(name, "sse2")) return 1;
  if (!strcmp(name, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return !strcmp(name, "avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
         && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#define PICK(S) (!runs(name) ? 0 : name[0] == 's' ? &sse2_##S##_entry : name[3] == '2' ? &avx2_##S##_entry : &avx512_##S##_entry)
static const char *chosen = "sse2";
static const cdk_table_f32 *best_f32 = &sse2_f32_entry;
static const cdk_table_f64 *best_f64 = &sse2_f64_entry;
const cdk_table_f32 *cdk_kernels_f32(const char *name) { return PICK(f32); }
const cdk_table_f64 *cdk_kernels_f64(const char *name) { return PICK(f64); }
/* Before main, hence before any thread could be inside a kernel. */
__attribute__((constructor)) static void choose(void) {
  chosen = runs("avx512") ? "avx512" : runs("avx2") ? "avx2" : "sse2";
  best_f32 = cdk_kernels_f32(chosen);
  best_f64 = cdk_kernels_f64(chosen);
}
#else
#if defined(__aarch64__)
#define HAS_FMA 1
static const char *chosen = "neon";
#else
#define HAS_FMA 0
static const char *chosen = "portable";
#endif
#define SET(name) CAT(only_, name)
#include "both.inc"
#define best_f32 (&only_f32_entry)
#define best_f64 (&only_f64_entry)
const cdk_table_f32 *cdk_kernels_f32(const char *name) { return strcmp(name, chosen) ? 0 : best_f32; }
const cdk_table_f64 *cdk_kernels_f64(const char *name) { return strcmp(name, chosen) ? 0 : best_f64; }
#endif
const char *cdk_instruction_set(void) { return chosen; }
const int32_t *cdk_bank_sources(void) {
  static const int32_t sources[CDK_SIDES] = {CDK_SOURCES};
  return sources;
}

#define CDK_DEFINE(R, S, P, G)                                                                                                          \
  void cdk_reservoir_##S(R *h, const R *w, const R *win, const R *bias, const R *leak, R x, int32_t n) {                            \
    best_##S->reservoir(h, w, win, bias, leak, x, n);                                                                              \
  }                                                                                                                              \
  int32_t cdk_rls_##S(R *p, const R *phi, R *g, R lambda, R share, R cap, int32_t n, const R *next) {                               \
    return best_##S->rls(p, phi, g, lambda, share, cap, n, next);                                                                   \
  }                                                                                                                              \
  R cdk_dot_##S(const R *a, const R *b, int32_t n) { return best_##S->dot(a, b, n); }                                               \
  void cdk_axpy_##S(R *y, const R *x, R a, int32_t n) { best_##S->axpy(y, x, a, n); }                                               \
  int32_t cdk_nearest_##S(const P *p, const R *s, int32_t m, int32_t d, R *q) { return best_##S->nearest(p, s, m, d, q); }          \
  void cdk_pull_##S(P *p, const R *s, int32_t m, int32_t slot, int32_t d, R rate) { best_##S->pull(p, s, m, slot, d, rate); }           \
  void cdk_keep_##S(G *to, const R *g, int32_t n) { best_##S->keep(to, g, n); }                                                     \
  void cdk_learn_##S(R *y, const G *x, R a, R stay, int32_t n) { best_##S->learn(y, x, a, stay, n); }                               \
  void cdk_toward_##S(R *m, const R *x, R gain, int32_t n) { best_##S->toward(m, x, gain, n); }                                     \
  void cdk_bank_##S(const double *statistics, R *evidence, R *reach, R *y, int32_t *bin, const cdk_grids *grids,                      \
                    const uint16_t *tables, cdk_sides *sides, R rank_share, R tail_share, int32_t answers, int32_t counts) {         \
    best_##S->bank(statistics, evidence, reach, y, bin, grids, tables, sides, rank_share, tail_share, answers, counts);              \
  }                                                                                                                              \
  void cdk_alarms_##S(R *count, uint32_t *last, uint32_t now, uint32_t away, int32_t n) { best_##S->alarms(count, last, now, away, n); } \
  void cdk_ridge_##S(R *w, const R *m, const R *target, double ridge) { best_##S->ridge(w, m, target, ridge); }                     \
  void cdk_add_##S(R *a, R v, int32_t n) { best_##S->add(a, v, n); }                                                                \
  void cdk_scale_##S(R *a, R v, int32_t n) { best_##S->scale(a, v, n); }                                                            \
  double cdk_sum_##S(const R *a, int32_t n) { return best_##S->sum(a, n); }
CDK_DEFINE(float, f32, int16_t, uint16_t)
CDK_DEFINE(double, f64, double, double)

int32_t cdk_oldest_u32(const uint32_t *a, int32_t n) {
  int32_t k = 0;
  for (int32_t i = 1; i < n; i++) if (a[i] < a[k]) k = i;
  return k;
}

void cdk_add_u16(uint16_t *a, uint16_t v, int32_t n) {
  for (int32_t i = 0; i < n; i++) a[i] = (uint16_t)(a[i] + v);
}
void cdk_halve_u16(uint16_t *a, int32_t n) {
  for (int32_t i = 0; i < n; i++) a[i] >>= 1;
}
void cdk_fade_u16(uint16_t *a, uint32_t share, uint32_t dither, int32_t n) {
  for (int32_t i = 0; i < n; i++) a[i] = (uint16_t)(a[i] - ((a[i] * share + dither) >> 16));
}
uint32_t cdk_sum_u16(const uint16_t *a, int32_t n) {
  uint32_t s = 0;
  for (int32_t i = 0; i < n; i++) s += a[i];
  return s;
}
