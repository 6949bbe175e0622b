/* CDetectionKernels - the inner loops of the stream detector, in float and double.
 *
 * One template (kernels.inc) is compiled for several instruction sets; the best one the processor has is chosen once,
 * before main. All arithmetic is done in groups of 8 lanes with a fixed order of summation, so that every instruction set
 * with fused multiply-add (AVX2+FMA, AVX-512, NEON) gives the same bits; plain SSE2 rounds products separately.
 *
 * Legend:  n  vector length, a multiple of 8 (callers pad with zeros)      b  n / 8
 *          P  symmetric n x n matrix, lower triangle of 8 x 8 blocks: block (I, J), J <= I, starts at (I (I + 1) / 2 + J) 64;
 *             inside a block element (i, j) is at 8 j + i. Diagonal blocks are stored in full.
 *          d  dimension of a prototype         m  number of prototype slots, a multiple of 8
 * Pointers need natural alignment only; 64-byte alignment is fastest. Nothing here allocates, traps or keeps state.
 */
#ifndef CDETECTIONKERNELS_H
#define CDETECTIONKERNELS_H
#include <stdint.h>
#include <stddef.h>

/* Largest n accepted by cdk_reservoir and cdk_rls. */
#define CDK_LENGTH_MAX 128

/* Sides of the calibrator bank: ranks, then tails, padded to whole vectors; and one block in the histogram of either. */
#define CDK_RANKS 13
#define CDK_TAILS 14
#define CDK_SIDES 32
#define CDK_RANK_UNIT 2
/* Which of the combined statistics (16 up, 16 down) a side looks at, in the order of Statistic.swift: both sides of the value, four drifts and
 * the long error, the novelty; then both sides of the long error, the novelty, the gated error, both sides of three levels, the jump and the
 * clock's error over many channels; then padding. */
#define CDK_SOURCES 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 9, 7, 23, 9, 10, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31, 0, 0, 0, 0, 0
#define CDK_TAIL_UNIT 640
/* Regressors of the clock head, padded. */
#define CDK_CLOCK 10
#define CDK_CLOCK_PADDED 16

/* What the bank remembers beside its histograms (see CalibratorBank.swift); elements of sides that are padding mean nothing. */
typedef struct {
  int16_t block_high[CDK_SIDES];            /* highest bin of the present block, -1: none yet */
  int16_t highest[16], lowest[16];          /* of ranks: ends of everything seen */
  float start[16], rarity[16], slope[16];   /* of tails: where the fitted tail begins, -log10 of what is beyond, mean excess */
} cdk_sides;
/* The same for all streams, [CDK_SIDES] each: where a side's histogram begins in the tables, its lower edge, bin width, 1 / that, and last bin. */
typedef struct {
  const int32_t *row;
  const double *start, *width, *scale, *top;
} cdk_grids;

/* CDK_SOURCES [CDK_SIDES]. */
const int32_t *cdk_bank_sources(void);
/* Name of the instruction set in use: "avx512", "avx2", "sse2", "neon" or "portable". */
const char *cdk_instruction_set(void);
#define CDK_DECLARE(R, S, P, G)                                                                                                       \
  /* Leaky tanh units: h <- (1 - leak) h + leak tanh(win x + bias + W h). W column by column (n x n), h in place. */              \
  void cdk_reservoir_##S(R *h, const R *w, const R *win, const R *bias, const R *leak, R x, int32_t n);                          \
  /* Recursive least squares: g = P phi / (lambda + phi' P phi), P <- (P - g (P phi)') / lambda, diagonal limited to cap by      \
   * scaling row and column. Returns 0, or 1 if P had lost positive definiteness and was replaced by its diagonal.                \
   * A reading tells the more the larger phi' P phi is; where `share` phi' P phi is less than 1, only so much is forgotten: lambda is     \
   * then 1 - (1 - lambda) share phi' P phi. share 0: always lambda.                                                              \
   * `next`: the matrix that the next call works on, brought nearer meanwhile; may be NULL. */                                    \
  int32_t cdk_rls_##S(R *p, const R *phi, R *g, R lambda, R share, R cap, int32_t n, const R *next);                              \
  R cdk_dot_##S(const R *a, const R *b, int32_t n);                                                                              \
  /* y <- y + a x */                                                                                                             \
  void cdk_axpy_##S(R *y, const R *x, R a, int32_t n);                                                                           \
  /* Nearest of m prototypes to s[d], any m > 0; slot k, dimension j is at (k / 8) 8 d + 8 j + k % 8. Returns the slot (lowest on   \
   * a tie) and its squared distance. Coordinates lie in [-1, 1]; in single precision a prototype keeps them in steps of 1 / 32767. */ \
  int32_t cdk_nearest_##S(const P *prototypes, const R *s, int32_t m, int32_t d, R *distance2);                                  \
  /* Moves prototype `slot` of m slots by `rate` of the way to s[d]; 1 puts it there. */                                          \
  void cdk_pull_##S(P *prototypes, const R *s, int32_t m, int32_t slot, int32_t d, R rate);                                      \
  /* Keeps a gain for later; in single precision as bfloat16 (8 bits of fraction). */                                             \
  void cdk_keep_##S(G *to, const R *g, int32_t n);                                                                               \
  /* y <- stay y + a x for a gain that was kept */                                                                                \
  void cdk_learn_##S(R *y, const G *x, R a, R stay, int32_t n);                                                                  \
  /* m <- m + gain (x - m) */                                                                                                     \
  void cdk_toward_##S(R *m, const R *x, R gain, int32_t n);                                                                      \
  /* One reading of the calibrator bank: from `statistics` [32], at the places CDK_SOURCES, evidence[CDK_SIDES] (see                        \
   * CalibratorBank.swift), y = asinh(2c) with ln(c + 1e-3) for the last rank, the bins y falls in, and `reach`, the blocks that got as      \
   * far. Shares are 1 / (blocks + 1). Without `answers` evidence and reach are 0; with `counts` the sides take note of the bins. */         \
  void cdk_bank_##S(const double *statistics, R *evidence, R *reach, R *y, int32_t *bin, const cdk_grids *grids,                      \
                    const uint16_t *tables, cdk_sides *sides, R rank_share, R tail_share, int32_t answers, int32_t counts);          \
  /* Alarms that thresholds 0..<n would have raised: one each, and `last` = now, where the last one is at least `away` readings ago.       \
   * Memory is touched up to the next multiple of 8. */                                                                              \
  void cdk_alarms_##S(R *count, uint32_t *last, uint32_t now, uint32_t away, int32_t n);                                             \
  /* w[CDK_CLOCK_PADDED] = (M + ridge I)^-1 target, M the lower triangle of a symmetric matrix of CDK_CLOCK rows, row by row. */           \
  void cdk_ridge_##S(R *w, const R *m, const R *target, double ridge);                                                               \
  /* a[0..<n] += v, any n */                                                                                                     \
  void cdk_add_##S(R *a, R v, int32_t n);                                                                                        \
  /* a[0..<n] *= v, any n */                                                                                                     \
  void cdk_scale_##S(R *a, R v, int32_t n);                                                                                      \
  /* sum of a[0..<n], any n */                                                                                                   \
  double cdk_sum_##S(const R *a, int32_t n);

CDK_DECLARE(float, f32, int16_t, uint16_t)
CDK_DECLARE(double, f64, double, double)

/* All kernels of one instruction set, as called by the functions above. */
#define CDK_TABLE(R, S, P, G)                                                                                                         \
  typedef struct {                                                                                                              \
    void (*reservoir)(R *, const R *, const R *, const R *, const R *, R, int32_t);                                             \
    int32_t (*rls)(R *, const R *, R *, R, R, R, int32_t, const R *);                                                            \
    R (*dot)(const R *, const R *, int32_t);                                                                                    \
    void (*axpy)(R *, const R *, R, int32_t);                                                                                   \
    int32_t (*nearest)(const P *, const R *, int32_t, int32_t, R *);                                                            \
    void (*pull)(P *, const R *, int32_t, int32_t, int32_t, R);                                                                 \
    void (*keep)(G *, const R *, int32_t);                                                                                      \
    void (*learn)(R *, const G *, R, R, int32_t);                                                                               \
    void (*toward)(R *, const R *, R, int32_t);                                                                                 \
    void (*bank)(const double *, R *, R *, R *, int32_t *, const cdk_grids *, const uint16_t *, cdk_sides *, R, R, int32_t, int32_t);  \
    void (*alarms)(R *, uint32_t *, uint32_t, uint32_t, int32_t);                                                               \
    void (*ridge)(R *, const R *, const R *, double);                                                                           \
    void (*add)(R *, R, int32_t);                                                                                               \
    void (*scale)(R *, R, int32_t);                                                                                             \
    double (*sum)(const R *, int32_t);                                                                                          \
  } cdk_table_##S;
CDK_TABLE(float, f32, int16_t, uint16_t)
CDK_TABLE(double, f64, double, double)
/* The kernels of a named instruction set, for tests and benchmarks; NULL if this processor cannot run it. */
const cdk_table_f32 *cdk_kernels_f32(const char *name);
const cdk_table_f64 *cdk_kernels_f64(const char *name);

/* Histograms in 16 bits, any n. a += v */
void cdk_add_u16(uint16_t *a, uint16_t v, int32_t n);
/* a /= 2 */
void cdk_halve_u16(uint16_t *a, int32_t n);
/* a -= a share / 65536, rounded up or down by `dither` in 0...65535: right on average if that is spread evenly over the calls. */
void cdk_fade_u16(uint16_t *a, uint32_t share, uint32_t dither, int32_t n);
uint32_t cdk_sum_u16(const uint16_t *a, int32_t n);

/* Brings the lines of p[0..<bytes] nearer, for reading and writing a few microseconds later. */
static inline void cdk_fetch(const void *p, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch((const char *)p + at, 0, 2);
}

/* Brings the part of every histogram nearer that the next reading most likely falls into: about the highest bin of the present block, or below it. */
static inline void cdk_fetch_bins(const uint16_t *tables, const cdk_sides *sides, const int32_t *row) {
#pragma clang loop unroll_count(3)
  for (int i = 0; i < CDK_RANKS + CDK_TAILS; i++) {
    const uint16_t *most = tables + row[i] + sides->block_high[i];
    __builtin_prefetch(most, 0, 2);
    __builtin_prefetch(most - 24, 0, 2);
  }
}

/* Slot with the smallest entry of a[0..<n] (lowest slot on a tie). */
int32_t cdk_oldest_u32(const uint32_t *a, int32_t n);

/* Shipped weights of the 64-unit predictor core and the 16-unit novelty core (see weights_seed1.c). */
typedef struct { uint16_t row, column; double weight; } cdk_entry;
typedef struct {
  int32_t units, novelty_units, entries, novelty_entries;
  const double *input, *bias, *leak, *novelty_input, *novelty_bias, *novelty_leak;
  const cdk_entry *recurrent, *novelty_recurrent;
} cdk_weights;
const cdk_weights *cdk_weights_seed1(void);
#endif
