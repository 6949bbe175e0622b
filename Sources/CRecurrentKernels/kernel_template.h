/* The kernels of one instruction set. Included with
 *   RK_V     lanes            RK(name)  name with the set's suffix
 *   RK_M4    streams of a tile with four accumulators each, RK_MD rows of a dense tile with two
 *   RK_U4    unit blocks of a tile of a single stream with four accumulators each, RK_U1 with one
 *   RK_P     streams of a tile of two unit blocks with one accumulator each; rows of a tile of two vectors of a matrix product
 *   RK_FUSED 1 if a product and a sum are rounded once
 *   RK_M4P   RK_M4 where pairs of hidden units are multiplied (see paired_products); RK_HAS_PAIRS 1 if this set has such kernels
 *   RK_AVX512 1 if instructions of AVX-512 may be named
 *   RK_S     floats of a layer's weights that stay in a near cache however often a tile passes over them: the first, or with six streams a
 *            tile the second
 * Legend: recurrent_kernels.h. */

typedef float RK(vf) __attribute__((ext_vector_type(RK_V)));
typedef int32_t RK(vi) __attribute__((ext_vector_type(RK_V)));
typedef float RK(vu) __attribute__((ext_vector_type(RK_V), aligned(4)));
#define vf RK(vf)
#define LOAD(p) ((vf)(*(const RK(vu) *)(p)))
#define STORE(p, v) (*(RK(vu) *)(p) = (v))
#define SPLAT(s) ((vf)(s))
/* A value of memory in all lanes. */
#if RK_AVX512
/* AMD's Zen 4 loads with vpbroadcastd at no cost, while vbroadcastss, which compilers choose, takes a turn of an adder or multiplier. */
static inline __attribute__((always_inline)) vf RK(splat_at)(const float *p) {
    vf x;
    __asm__("vpbroadcastd %1, %0" : "=v"(x) : "m"(*p));
    return x;
}
#define SPLAT_AT(p) RK(splat_at)(p)
#else
#define SPLAT_AT(p) SPLAT(*(p))
#endif
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

/* Comparisons are written so that a NaN (overflow of finite weights and inputs) ends at the bound: no state is ever NaN. */
INLINE vf RK(clamp)(vf x, float lo, float hi) {
    x = x < SPLAT(hi) ? x : SPLAT(hi);
    return x > SPLAT(lo) ? x : SPLAT(lo);
}

/* x in -bound...bound, a NaN anywhere in it. */
INLINE vf RK(limit)(vf x, float bound) {
#if RK_AVX512
    return (vf)_mm512_range_ps((__m512)x, (__m512)SPLAT(bound), 2); /* the smaller magnitude with the sign of x; of a NaN the bound */
#else
    return RK(clamp)(x, -bound, bound);
#endif
}

/* exp(times x) = 2^k exp(times r), k whole, |times r| <= ln 2 / 2; returns k in the bits of an exponent. A fused step of reduction is exact
 * enough, ln 2 being a float to 2e-9. Needs |times x| < 87. */
INLINE RK(vi) RK(exp_parts)(vf x, const int times, vf *r) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits */
    vf shifted = x * SPLAT(1.44269504088896341f * (float)times) + SPLAT(magic);
    vf k = shifted - SPLAT(magic);
#if RK_FUSED
    *r = x - k * SPLAT(0.693147180559945309f / (float)times);
#else
    *r = (x - k * SPLAT(0.693359375f / (float)times)) - k * SPLAT(-2.12194440e-4f / (float)times);
#endif
    return (RK(vi))shifted << 23;
}

/* tanh x = (exp(2x) - 1) / (exp(2x) + 1), |error| < 1.5e-7, relative error < 2.5e-7 down to 0; (exp(r) - 1) / r by a minimax polynomial
 * of degree 5. The rational form of Eigen (13/6) errs by 2.5e-7 just below 1, which spoils 1 - tanh^2 of saturated units (gradients off
 * by 2e-5). */
INLINE vf RK(tanh)(vf x) {
    vf r, scale = (vf)(RK(exp_parts)(RK(limit)(x, RK_TANH_BOUND), 2, &r) + 0x3F800000);
    vf p = SPLAT(1.3888872529e-03f * 64); /* r is half of what the polynomial is in */
    p = p * r + SPLAT(8.3690687255e-03f * 32);
    p = p * r + SPLAT(4.1667136218e-02f * 16);
    p = p * r + SPLAT(1.6666506218e-01f * 8);
    p = p * r + SPLAT(4.9999998125e-01f * 4);
    p = p * r + SPLAT(1.0000000106e+00f * 2);
    vf m = (scale * r) * p + (scale - SPLAT(1.0f));
    return m / (m + SPLAT(2.0f));
}

#if RK_AVX512
/* 1 / (1 + exp(-x)), |error| < 1e-7. -x = (k/32) ln 2 - r, k whole, and exp(-x) = 2^(k/32) (a - r) / (a + r), to 3e-8 with an a that is a
 * trifle above 2. 2^(k/32) from a table of the 32 fractions in two registers, less what k's low bits add when
 * it moves into the exponent. */
INLINE vf RK(sigmoid)(vf x) {
    const float magic = 12582912.0f; /* see exp_parts */
    x = RK(limit)(x, RK_SIGMOID_BOUND);
    vf shifted = x * SPLAT(-46.166241308446828f) + SPLAT(magic);
    vf r = (shifted - SPLAT(magic)) * SPLAT(0.021660849392498291f) + x;
    RK(vi) k = (RK(vi))shifted;
    const float *table = (const float *)rk_fractions;
    RK(vi) fraction = (RK(vi))_mm512_permutex2var_ps(_mm512_load_ps(table), (__m512i)k, _mm512_load_ps(table + 16));
    vf power = (vf)(fraction + (k << 18)), below = SPLAT(2.0000147f) + r;
    return below / (power * (SPLAT(2.0000147f) - r) + below);
}
#else
/* 1 / (1 + exp(-x)), |error| < 1e-7: exp(-r) = (even - odd) / (even + odd), the Padé form of degree 3 over 3 (to 6e-9); 2^-k by taking k
 * from the bits. */
INLINE vf RK(sigmoid)(vf x) {
    vf r;
    RK(vi) k = RK(exp_parts)(RK(limit)(x, RK_SIGMOID_BOUND), 1, &r);
    vf square = r * r, even = square * SPLAT(0.1f) + SPLAT(1.0f), odd = r * (square * SPLAT(1.0f / 120) + SPLAT(0.5f));
    vf below = even + odd, above = (vf)((RK(vi))(even - odd) - k);
    return below / (below + above);
}
#endif

INLINE vf RK(act)(int32_t kind, float slope, float offset, vf x) {
    switch (kind) {
    case RK_TANH: return RK(tanh)(x);
    case RK_SIGMOID: return RK(sigmoid)(x);
    case RK_RELU: return RK(clamp)(x, 0.0f, FLT_MAX);
    case RK_HARD_SIGMOID: return RK(clamp)(x * SPLAT(slope) + SPLAT(offset), 0.0f, 1.0f);
    default: return RK(clamp)(x, -FLT_MAX, FLT_MAX);
    }
}

INLINE float RK(sum)(vf x) {
#if RK_V == 16
    const __typeof__(x.lo) eight = x.lo + x.hi;
    const __typeof__(eight.lo) four = eight.lo + eight.hi;
#elif RK_V == 8
    const __typeof__(x.lo) four = x.lo + x.hi;
#else
    const vf four = x;
#endif
    return (four.x + four.z) + (four.y + four.w);
}

/* acc[s][g] += sum_k w[k][g] x[s][k] for one stream; gate 2 goes to accumulator `third`. */
INLINE void RK(products)(const int G, const int third, int32_t K, const float *w, const float *x, vf *acc) {
    for (int32_t k = 0; k < K; k++, w += G * RK_V) {
        const vf xs = SPLAT_AT(x + k);
        UNROLL for (int g = 0; g < G; g++) {
            const int a = g == 2 ? third : g;
            acc[a] = LOAD(w + g * RK_V) * xs + acc[a];
        }
    }
}

/* acc[s][b][g] += sum_k w[b][k][g] x[k][s] for M streams, x a panel [K][M] or, with `rows`, x[s][k]; Q unit blocks `size` floats apart. */
INLINE void RK(panel_products)(const int M, const int Q, const int G, const int third, int32_t K, const float *w, ptrdiff_t size,
                               const float *x, const float *const *rows, vf acc[][RK_TILE_MAX]) {
    for (int32_t k = 0; k < K; k++, w += G * RK_V) {
        if (Q * G <= 2) { /* the smaller side is held in registers, the larger one comes from memory */
            vf ws[2];
            UNROLL for (int a = 0; a < Q * G; a++) ws[a] = LOAD(w + a / G * size + a % G * RK_V);
            UNROLL for (int s = 0; s < M; s++) {
                const vf xs = SPLAT_AT(rows ? &rows[s][k] : &x[k * M + s]);
                UNROLL for (int a = 0; a < Q * G; a++) acc[s][a] = ws[a] * xs + acc[s][a];
            }
            continue;
        }
        vf xs[RK_M4];
        UNROLL for (int s = 0; s < M; s++) xs[s] = SPLAT_AT(rows ? &rows[s][k] : &x[k * M + s]);
        UNROLL for (int a = 0; a < Q * G; a++) {
            const vf wg = LOAD(w + a / G * size + a % G * RK_V);
            UNROLL for (int s = 0; s < M; s++) acc[s][a % G == 2 ? third : a] = wg * xs[s] + acc[s][a % G == 2 ? third : a];
        }
    }
}

#if RK_HAS_PAIRS
/* n <= V values, zeros behind them. */
INLINE vf RK(first_lanes)(const float *p, int32_t n) {
#if RK_AVX512
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    float part[RK_V] __attribute__((aligned(64))) = {0};
    for (int32_t i = 0; i < n; i++) part[i] = p[i];
    return LOAD(part);
#endif
}

/* What the products of pairs have too much, sum_i x[i] x[pairs + i]: one number a stream. */
INLINE float RK(pair_excess)(int32_t pairs, const float *x) {
    vf acc = SPLAT(0.0f);
    for (int32_t i = 0; i < pairs; i += RK_V) {
        const int32_t n = pairs - i < RK_V ? pairs - i : RK_V;
        acc = RK(first_lanes)(x + i, n) * RK(first_lanes)(x + pairs + i, n) + acc;
    }
    return RK(sum)(acc);
}
#else
INLINE float RK(pair_excess)(int32_t pairs, const float *x) { /* never asked for */
    (void)pairs, (void)x;
    return 0;
}
#endif

/* The recurrent part by Winograd's inner product (A new algorithm for inner products, 1968): for a pair of units
 *     w1 x1 + w2 x2 = (w1 + x2) (w2 + x1) - w1 w2 - x1 x2,
 * one fused product and two sums instead of two fused products. It pays on processors whose adders stand beside the multipliers and with
 * registers enough (measured on AMD's Zen 4: with AVX-512, not with AVX2), best mixed with plain products two to one. Pairs are the units i and pairs + i, i < pairs; a plain product, units
 * 2 pairs + i, follows each pair until there are no more. sum w1 w2 is in the packed bias, sum x1 x2 taken off before. */
INLINE void RK(paired_products)(const int M, const int Q, const int G, const int third, int32_t K, int32_t pairs, const float *w,
                                ptrdiff_t size, const float *x, const float *const *rows, vf acc[][RK_TILE_MAX]) {
    const int few = Q * G <= 2; /* as in panel_products */
    for (int32_t i = 0; i < pairs; i++) {
#define RK_AT(s, k) SPLAT_AT(rows ? &rows[s][k] : &x[(k) * M + s])
        if (few) {
            vf ws[2][2];
            UNROLL for (int a = 0; a < Q * G; a++)
                UNROLL for (int j = 0; j < 2; j++) ws[a][j] = LOAD(w + a / G * size + (j * G + a % G) * RK_V);
            UNROLL for (int s = 0; s < M; s++) {
                const vf one = RK_AT(s, i), two = RK_AT(s, pairs + i);
                UNROLL for (int a = 0; a < Q * G; a++) acc[s][a] = (ws[a][0] + two) * (ws[a][1] + one) + acc[s][a];
            }
        } else {
            vf one[RK_M4], two[RK_M4];
            UNROLL for (int s = 0; s < M; s++) { one[s] = RK_AT(s, i); two[s] = RK_AT(s, pairs + i); }
            UNROLL for (int a = 0; a < Q * G; a++) {
                const float *at = w + a / G * size + a % G * RK_V;
                const vf w1 = LOAD(at), w2 = LOAD(at + G * RK_V);
                const int to = a % G == 2 ? third : a;
                UNROLL for (int s = 0; s < M; s++) acc[s][to] = (w1 + two[s]) * (w2 + one[s]) + acc[s][to];
            }
        }
        w += 2 * G * RK_V;
        if (2 * pairs + i >= K) continue;
        UNROLL for (int a = 0; a < Q * G; a++) {
            const vf wg = LOAD(w + a / G * size + a % G * RK_V);
            const int to = a % G == 2 ? third : a;
            UNROLL for (int s = 0; s < M; s++) acc[s][to] = wg * RK_AT(s, 2 * pairs + i) + acc[s][to];
        }
        w += G * RK_V;
#undef RK_AT
    }
}

/* Activates the accumulators first..<first + A of V units, those at `u`, of the first `valid` of M streams. Gate by gate, so that the
 * streams hide each other's latencies. h may be out. */
INLINE void RK(finish)(const int cell, const int form, const int M, const rk_layer *L, vf acc[][RK_TILE_MAX], const int first, int32_t u,
                       int32_t valid, const float *const *h, float *const *out, const float *const *c_in, float *const *c_out, float *tape,
                       ptrdiff_t tape_stride) {
    const int32_t ga = form ? RK_SIGMOID : L->gate_activation, ca = form ? RK_TANH : L->candidate_activation;
    const int32_t oa = form ? RK_TANH : L->output_activation, Hp = rk_round(L->hidden);
    const float hs = L->hard_slope, ho = L->hard_offset;
    if (cell == RK_ELMAN) {
        UNROLL for (int s = 0; s < M; s++) acc[s][first] = RK(act)(ca, hs, ho, acc[s][first]);
    } else if (cell == RK_LSTM) {
        UNROLL for (int g = 0; g < 4; g++) UNROLL for (int s = 0; s < M; s++) acc[s][g] = RK(act)(g == 2 ? ca : ga, hs, ho, acc[s][g]);
    } else {
        UNROLL for (int g = 0; g < 2; g++) UNROLL for (int s = 0; s < M; s++) acc[s][g] = RK(act)(ga, hs, ho, acc[s][g]);
        UNROLL for (int s = 0; s < M; s++) acc[s][2] = RK(act)(ca, hs, ho, acc[s][0] * acc[s][3] + acc[s][2]);
    }
    UNROLL for (int s = 0; s < M; s++) {
        if (s >= valid) continue;
        vf y = acc[s][first];
        if (cell == RK_LSTM) {
            vf c = acc[s][1] * LOAD(c_in[s] + u) + acc[s][0] * acc[s][2];
            STORE(c_out[s] + u, c);
            y = acc[s][3] * RK(act)(oa, hs, ho, c);
        } else if (cell == RK_GRU) {
            y = acc[s][1] * (LOAD(h[s] + u) - acc[s][2]) + acc[s][2];
        }
        STORE(out[s] + u, y);
        if (cell != RK_ELMAN && tape) {
            UNROLL for (int a = 0; a < 4; a++) STORE(tape + s * tape_stride + a * Hp + u, acc[s][a]);
        }
    }
}

/* Streams of a tile, and unit blocks. */
#define RK_TILE_STREAMS(cell, form) ((cell) == RK_ELMAN ? RK_P : (form) == RK_PAIRED ? RK_M4P : RK_M4)
#define RK_TILE_BLOCKS(cell) ((cell) == RK_ELMAN ? 2 : 1)

/* Q blocks of V units for the first `valid` of M streams whose inputs and states are packed in `panel` [I + H][M], or lie where x and h_in
 * tell if that is NULL. `out` may be h_in if they are packed: a unit's old state is read before its new one is written. */
INLINE void RK(panel_tile)(const int cell, const int form, const int M, const int Q, const rk_layer *L, int32_t u, const float *w,
                           ptrdiff_t size, const float *panel, const float *excess, int32_t valid, const float *const *x,
                           const float *const *h_in, float *const *out, const float *const *c_in, float *const *c_out, float *tape,
                           ptrdiff_t tape_stride) {
    const int A = cell == RK_ELMAN ? 1 : 4, G = cell == RK_ELMAN ? 1 : cell == RK_LSTM ? 4 : 3;
    const int third = cell == RK_GRU ? 3 : 2;
    vf acc[RK_P > RK_M4 ? RK_P : RK_M4][RK_TILE_MAX];
    UNROLL for (int b = 0; b < Q; b++) UNROLL for (int a = 0; a < A; a++) {
        const vf bias = LOAD(w + b * size + a * RK_V);
        const int paired = form == RK_PAIRED && !(cell == RK_GRU && a == 2);
        UNROLL for (int s = 0; s < M; s++) acc[s][b * A + a] = paired ? bias - SPLAT(excess[s]) : bias;
    }
    w += A * RK_V;
    RK(panel_products)(M, Q, G, 2, L->inputs, w, size, panel, panel ? NULL : x, acc);
    w += (ptrdiff_t)L->inputs * G * RK_V;
    if (panel) panel += (ptrdiff_t)L->inputs * M;
    const float *const *states = panel ? NULL : h_in;
    if (form == RK_PAIRED) RK(paired_products)(M, Q, G, third, L->hidden, L->pairs, w, size, panel, states, acc);
    else RK(panel_products)(M, Q, G, third, L->hidden, w, size, panel, states, acc);
    UNROLL for (int b = 0; b < Q; b++)
        RK(finish)(cell, form, M, L, acc, b * A, u + b * RK_V, valid, h_in, out, c_in, c_out, tape, tape_stride);
}

/* [tiles][I + H][M]: neighbouring streams side by side, the last tile filled up with zeros. Rows of state lie a power of two apart; read
 * in place, a tile would keep hitting the same few cache sets. */
INLINE void RK(pack_panels)(const int form, const int M, const rk_layer *L, int32_t n, const float *const *x, const float *const *h,
                            float *panel, float *excess) {
    const int32_t I = L->inputs, H = L->hidden;
    for (int32_t s = 0; s < n; s += M, panel += (ptrdiff_t)(I + H) * M) {
        const int32_t valid = n - s < M ? n - s : M;
        if (valid < M) memset(panel, 0, (size_t)(I + H) * (size_t)M * sizeof(float));
        for (int32_t i = 0; i < valid; i++) {
            float *p = panel + i;
            for (int32_t k = 0; k < I; k++, p += M) *p = x[s + i][k];
            /* One by one: scatter instructions take several times as long. */
            _Pragma("clang loop vectorize(disable)") for (int32_t k = 0; k < H; k++, p += M) *p = h[s + i][k];
            if (form == RK_PAIRED) excess[s + i] = RK(pair_excess)(L->pairs, h[s + i]);
        }
    }
}

/* A layer whose weights all stay in a near cache: tile by tile, inputs and states read where they lie, new states staged in
 * `scratch` until every unit of the tile has seen the old ones. */
INLINE void RK(small_batch)(const int cell, const int form, const rk_layer *L, int32_t n, const float *const *x, const float *const *h_in,
                            float *const *h_out, const float *const *c_in, float *const *c_out, float *tape, ptrdiff_t tape_stride,
                            float *scratch) {
    const int A = cell == RK_ELMAN ? 1 : 4, G = cell == RK_ELMAN ? 1 : cell == RK_LSTM ? 4 : 3;
    enum { M_MAX = RK_P > RK_M4 ? RK_P : RK_M4 };
    const int M = RK_TILE_STREAMS(cell, form), Q = RK_TILE_BLOCKS(cell);
    const int32_t Hp = rk_round(L->hidden);
    const ptrdiff_t size = ((ptrdiff_t)A + ((ptrdiff_t)L->inputs + L->hidden) * G) * RK_V;
    for (int32_t at = 0; at < n; at += M) {
        const int32_t valid = n - at < M ? n - at : M;
        const float *xs[M_MAX], *hs[M_MAX];
        float *out[M_MAX], excess[M_MAX];
        UNROLL for (int s = 0; s < M; s++) { /* the last tile is filled up with its first stream */
            xs[s] = x[at + (s < valid ? s : 0)];
            hs[s] = h_in[at + (s < valid ? s : 0)];
            out[s] = scratch + s * Hp;
            if (form == RK_PAIRED) excess[s] = RK(pair_excess)(L->pairs, hs[s]);
        }
        const float *const *ci = cell == RK_LSTM ? c_in + at : NULL;
        float *const *co = cell == RK_LSTM ? c_out + at : NULL;
        float *tp = tape ? tape + at * tape_stride : NULL;
        const float *w = L->packed;
        int32_t staged = 0; /* the last units need no staging: nobody reads old ones after them */
        for (int32_t u = 0; u < L->hidden;) {
            const int wide = Q == 2 && u + RK_V < L->hidden;
            if (u + (wide + 1) * RK_V >= L->hidden) {
                staged = u;
                UNROLL for (int s = 0; s < M; s++)
                    if (s < valid) out[s] = h_out[at + s];
            }
            if (wide) RK(panel_tile)(cell, form, M, Q, L, u, w, size, NULL, excess, valid, xs, hs, out, ci, co, tp, tape_stride);
            else RK(panel_tile)(cell, form, M, 1, L, u, w, size, NULL, excess, valid, xs, hs, out, ci, co, tp, tape_stride);
            u += (wide + 1) * RK_V;
            w += (wide + 1) * size;
        }
        for (int32_t s = 0; s < valid; s++)
            for (int32_t u = 0; u < staged; u += RK_V) STORE(h_out[at + s] + u, LOAD(scratch + s * Hp + u));
    }
}

/* A batch: unit blocks outermost, so that the weights of one stay in the first cache for all tiles of the chunk. */
INLINE void RK(batch)(const int cell, const int form, const rk_layer *L, int32_t n, const float *const *x, const float *const *h_in,
                      float *const *h_out, const float *const *c_in, float *const *c_out, float *tape, ptrdiff_t tape_stride,
                      float *panels) {
    const int A = cell == RK_ELMAN ? 1 : 4, G = cell == RK_ELMAN ? 1 : cell == RK_LSTM ? 4 : 3;
    const int M = RK_TILE_STREAMS(cell, form), Q = RK_TILE_BLOCKS(cell);
    const int32_t K = L->inputs + L->hidden;
    const ptrdiff_t size = ((ptrdiff_t)A + (ptrdiff_t)K * G) * RK_V;
    const float *w = L->packed;
    if (L->hidden * size <= RK_S * RK_V) {
        RK(small_batch)(cell, form, L, n, x, h_in, h_out, c_in, c_out, tape, tape_stride, panels);
        return;
    }
    float excess[RK_PANEL_FLOATS];
    RK(pack_panels)(form, M, L, n, x, h_in, panels, excess);
    for (int32_t u = 0; u < L->hidden;) {
        const int wide = Q == 2 && u + RK_V < L->hidden;
        for (int32_t s = 0; s < n; s += M) {
            const int32_t valid = n - s < M ? n - s : M;
            const float *const *ci = cell == RK_LSTM ? c_in + s : NULL;
            float *const *co = cell == RK_LSTM ? c_out + s : NULL;
            float *tp = tape ? tape + s * tape_stride : NULL;
            const float *panel = panels + (ptrdiff_t)s * K;
            const float *over = excess + s;
            if (wide) RK(panel_tile)(cell, form, M, Q, L, u, w, size, panel, over, valid, NULL, h_in + s, h_out + s, ci, co, tp, tape_stride);
            else RK(panel_tile)(cell, form, M, 1, L, u, w, size, panel, over, valid, NULL, h_in + s, h_out + s, ci, co, tp, tape_stride);
        }
        u += (wide + 1) * RK_V;
        w += (wide + 1) * size;
    }
}

/* U blocks of V units for a single stream: enough independent sums to hide the latency of an addition. `size`: floats of a block. */
INLINE void RK(tile_wide)(const int cell, const int form, const int U, const rk_layer *L, int32_t u, const float *w, ptrdiff_t size,
                          const float *x, const float *h, float excess, float *scratch, const float *c_in, float *c_out, float *tape) {
    const int A = cell == RK_ELMAN ? 1 : 4, G = cell == RK_ELMAN ? 1 : cell == RK_LSTM ? 4 : 3;
    vf acc[RK_U1 > RK_U4 ? RK_U1 : RK_U4][RK_TILE_MAX];
    UNROLL for (int b = 0; b < U; b++) UNROLL for (int a = 0; a < A; a++) {
        acc[b][a] = LOAD(w + b * size + a * RK_V);
        if (form == RK_PAIRED && !(cell == RK_GRU && a == 2)) acc[b][a] = acc[b][a] - SPLAT(excess);
    }
    w += A * RK_V;
    for (int32_t k = 0; k < L->inputs; k++, w += G * RK_V) {
        const vf xs = SPLAT_AT(x + k);
        UNROLL for (int b = 0; b < U; b++)
            UNROLL for (int g = 0; g < G; g++) acc[b][g] = LOAD(w + b * size + g * RK_V) * xs + acc[b][g];
    }
    int32_t k = 0;
    for (int32_t i = 0; form == RK_PAIRED && i < L->pairs; i++) { /* as paired_products */
        const vf one = SPLAT_AT(h + i), two = SPLAT_AT(h + L->pairs + i);
        UNROLL for (int b = 0; b < U; b++) UNROLL for (int g = 0; g < G; g++) {
            const int a = cell == RK_GRU && g == 2 ? 3 : g;
            const float *at = w + b * size + g * RK_V;
            acc[b][a] = (LOAD(at) + two) * (LOAD(at + G * RK_V) + one) + acc[b][a];
        }
        w += 2 * G * RK_V;
        k = 2 * L->pairs + i;
        if (k >= L->hidden) continue;
        const vf xs = SPLAT_AT(h + k);
        UNROLL for (int b = 0; b < U; b++) UNROLL for (int g = 0; g < G; g++) {
            const int a = cell == RK_GRU && g == 2 ? 3 : g;
            acc[b][a] = LOAD(w + b * size + g * RK_V) * xs + acc[b][a];
        }
        w += G * RK_V;
    }
    for (; form != RK_PAIRED && k < L->hidden; k++, w += G * RK_V) {
        const vf xs = SPLAT_AT(h + k);
        UNROLL for (int b = 0; b < U; b++) UNROLL for (int g = 0; g < G; g++) {
            const int a = cell == RK_GRU && g == 2 ? 3 : g;
            acc[b][a] = LOAD(w + b * size + g * RK_V) * xs + acc[b][a];
        }
    }
    UNROLL for (int b = 0; b < U; b++)
        RK(finish)(cell, form, 1, L, acc + b, 0, u + b * RK_V, 1, &h, &scratch, &c_in, &c_out, tape, 0);
}

/* A single stream; the new state goes to `scratch`, since every unit needs all of the old one. */
INLINE void RK(single)(const int cell, const int form, const rk_layer *L, const float *x, const float *h, float *scratch,
                       const float *c_in, float *c_out, float *tape) {
    const int A = cell == RK_ELMAN ? 1 : 4, G = cell == RK_ELMAN ? 1 : cell == RK_LSTM ? 4 : 3;
    const int U = cell == RK_ELMAN ? RK_U1 : RK_U4;
    const ptrdiff_t size = ((ptrdiff_t)A + (ptrdiff_t)(L->inputs + L->hidden) * G) * RK_V;
    const float *w = L->packed;
    const float excess = form == RK_PAIRED ? RK(pair_excess)(L->pairs, h) : 0;
    int32_t u = 0;
    for (; u + (U - 1) * RK_V < L->hidden; u += U * RK_V, w += U * size)
        RK(tile_wide)(cell, form, U, L, u, w, size, x, h, excess, scratch, c_in, c_out, tape);
    for (; u < L->hidden; u += RK_V, w += size) RK(tile_wide)(cell, form, 1, L, u, w, size, x, h, excess, scratch, c_in, c_out, tape);
}

/* GRU with the reset before the product needs r of every unit before n of any: two passes.
 * Pack: per unit block [2 bias][I][2], [H][2]; then per unit block [1 bias][I][1], [H][1]. scratch: 3 rows. */
static void RK(reset_before)(const rk_layer *L, const float *x, const float *h, float *scratch, float *tape) {
    const int32_t Hp = rk_round(L->hidden), K = L->inputs + L->hidden;
    const float hs = L->hard_slope, ho = L->hard_offset;
    float *rh = scratch + Hp, *zs = rh + Hp;
    const float *w = L->packed;
    for (int32_t u = 0; u < L->hidden; u += RK_V, w += (2 + (ptrdiff_t)K * 2) * RK_V) {
        vf acc[2] = {LOAD(w), LOAD(w + RK_V)};
        RK(products)(2, 2, L->inputs, w + 2 * RK_V, x, acc);
        RK(products)(2, 2, L->hidden, w + (2 + (ptrdiff_t)L->inputs * 2) * RK_V, h, acc);
        vf r = RK(act)(L->gate_activation, hs, ho, acc[0]), z = RK(act)(L->gate_activation, hs, ho, acc[1]);
        STORE(rh + u, r * LOAD(h + u));
        STORE(zs + u, z);
        if (tape) { STORE(tape + u, r); STORE(tape + Hp + u, z); }
    }
    for (int32_t u = 0; u < L->hidden; u += RK_V, w += (1 + (ptrdiff_t)K) * RK_V) {
        vf acc[1] = {LOAD(w)};
        RK(products)(1, 2, L->inputs, w + RK_V, x, acc);
        RK(products)(1, 2, L->hidden, w + (1 + (ptrdiff_t)L->inputs) * RK_V, rh, acc);
        vf c = RK(act)(L->candidate_activation, hs, ho, acc[0]);
        STORE(scratch + u, LOAD(zs + u) * (LOAD(h + u) - c) + c);
        if (tape) STORE(tape + 2 * Hp + u, c);
    }
}

static int RK(form)(const rk_layer *L) {
    if (L->cell == RK_GRU_RESET_BEFORE) return RK_GENERAL;
    return RK_HAS_PAIRS && L->pairs ? RK_PAIRED : rk_plain(L) ? RK_PLAIN : RK_GENERAL;
}

/* One case for each form and cell there is. */
#define RK_CELLS(FORM) RK_FORM(FORM, RK_ELMAN); RK_FORM(FORM, RK_LSTM); RK_FORM(FORM, RK_GRU)
#if RK_HAS_PAIRS
#define RK_FORMS RK_CELLS(RK_GENERAL); RK_CELLS(RK_PLAIN); RK_CELLS(RK_PAIRED)
#else
#define RK_FORMS RK_CELLS(RK_GENERAL); RK_CELLS(RK_PLAIN)
#endif

static void RK(step_batch)(const rk_layer *L, int32_t n, const float *const *x, const float *const *h_in, float *const *h_out,
                           const float *const *c_in, float *const *c_out, float *tape, ptrdiff_t tape_stride, float *panels) {
    const int form = RK(form)(L);
#define RK_FORM(FORM, CELL) \
    case FORM * 4 + CELL: \
        RK(batch)(CELL, FORM, L, n, x, h_in, h_out, c_in, c_out, CELL == RK_ELMAN ? NULL : tape, tape_stride, panels); \
        break
    switch (form * 4 + L->cell) { /* an Elman cell's gate is its state: no tape */
        RK_FORMS;
    }
#undef RK_FORM
}

static void RK(step_single)(const rk_layer *L, const float *x, const float *h_in, float *h_out, const float *c_in, float *c_out,
                            float *tape, float *scratch) {
    const int form = RK(form)(L);
#define RK_FORM(FORM, CELL) \
    case FORM * 4 + CELL: \
        RK(single)(CELL, FORM, L, x, h_in, scratch, c_in, c_out, CELL == RK_ELMAN ? NULL : tape); \
        break
    switch (form * 4 + L->cell) {
        RK_FORMS;
    default: RK(reset_before)(L, x, h_in, scratch, tape);
    }
#undef RK_FORM
    for (int32_t u = 0; u < L->hidden; u += RK_V) STORE(h_out + u, LOAD(scratch + u));
}

/* Padding stays zero: products by pairs leave the rounding of their sums there. */
static void RK(clear_padding)(int32_t hidden, int32_t n, float *const *rows) {
    for (int32_t s = 0; s < n; s++)
        for (int32_t u = hidden; u % RK_V; u++) rows[s][u] = 0;
}

static void RK(layer_step)(const rk_layer *L, int32_t n, const float *const *x, const float *const *h_in, float *const *h_out,
                           const float *const *c_in, float *const *c_out, float *tape, ptrdiff_t tape_stride) {
    float scratch[RK_SCRATCH] __attribute__((aligned(64)));
    const int32_t K = L->inputs + L->hidden, M = RK_TILE_STREAMS(L->cell, RK(form)(L));
    if (n == 1 || L->cell == RK_GRU_RESET_BEFORE || K > RK_SCRATCH / M) {
        for (int32_t s = 0; s < n; s++)
            RK(step_single)(L, x[s], h_in[s], h_out[s], c_in ? c_in[s] : NULL, c_out ? c_out[s] : NULL,
                            tape ? tape + s * tape_stride : NULL, scratch);
    } else {
        /* Panels of a chunk beside the weights of a unit block in the first cache; weights of a layer once per chunk from the second. */
        int32_t tiles = RK_PANEL_FLOATS / (K * M);
        if (tiles < 2) tiles = 2;
        if (tiles > RK_SCRATCH / (K * M)) tiles = RK_SCRATCH / (K * M);
        const int32_t most = tiles * M;
        for (int32_t from = 0; from < n; from += most)
            RK(step_batch)(L, n - from < most ? n - from : most, x + from, h_in + from, h_out + from, c_in ? c_in + from : NULL,
                           c_out ? c_out + from : NULL, tape ? tape + from * tape_stride : NULL, tape_stride, scratch);
    }
    if (L->pairs && L->hidden % RK_V) {
        RK(clear_padding)(L->hidden, n, h_out);
        if (c_out) RK(clear_padding)(L->hidden, n, c_out);
    }
}

/* M rows by Q blocks of V outputs. Two sums per output, over even and odd k, added at the end: a single row would otherwise wait for
 * every addition. */
INLINE void RK(dense_tile)(const int M, const int Q, const rk_dense *D, int32_t q, const float *w, ptrdiff_t size, const float *const *x,
                           float *const *out) {
    vf acc[RK_MD][2][2];
    UNROLL for (int s = 0; s < M; s++) UNROLL for (int b = 0; b < Q; b++) {
        acc[s][b][0] = LOAD(w + b * size);
        acc[s][b][1] = SPLAT(0.0f);
    }
    w += RK_V;
    int32_t k = 0;
    for (; k + 2 <= D->inputs; k += 2, w += 2 * RK_V) {
        UNROLL for (int odd = 0; odd < 2; odd++) {
            vf xs[RK_MD];
            UNROLL for (int s = 0; s < M; s++) xs[s] = SPLAT_AT(x[s] + k + odd);
            UNROLL for (int b = 0; b < Q; b++) {
                const vf wb = LOAD(w + b * size + odd * RK_V);
                UNROLL for (int s = 0; s < M; s++) acc[s][b][odd] = wb * xs[s] + acc[s][b][odd];
            }
        }
    }
    if (k < D->inputs)
        UNROLL for (int b = 0; b < Q; b++)
            UNROLL for (int s = 0; s < M; s++) acc[s][b][0] = LOAD(w + b * size) * SPLAT_AT(x[s] + k) + acc[s][b][0];
    UNROLL for (int s = 0; s < M; s++) UNROLL for (int b = 0; b < Q; b++) {
        const int32_t at = q + b * RK_V, left = D->outputs - at;
        float *o = out[s] + at;
        vf y = acc[s][b][0] + acc[s][b][1];
        if (left >= RK_V) {
            STORE(o, RK(act)(D->activation, D->hard_slope, D->hard_offset, y));
        } else {
            float part[RK_V] __attribute__((aligned(64)));
            STORE(part, RK(act)(D->activation, D->hard_slope, D->hard_offset, y));
            for (int32_t i = 0; i < left; i++) o[i] = part[i];
        }
    }
}

/* Few outputs: one sum of products a row and output, lane by lane, from weights that rk_pack_dense has laid out row by row. */
INLINE float RK(row_sum)(const float *w, const float *x, int32_t K) {
    vf acc = LOAD(w) * LOAD(x);
    for (int32_t k = RK_V; k < K; k += RK_V) acc = LOAD(w + k) * LOAD(x + k) + acc;
    return RK(sum)(acc);
}

static void RK(thin_dense)(const rk_dense *D, int32_t n, const float *const *x, float *const *out) {
    const float *rows = D->packed + (1 + (ptrdiff_t)D->inputs) * RK_V;
    for (int32_t q = 0; q < D->outputs; q++, rows += D->inputs) {
        const float bias = D->packed[q];
        int32_t s = 0;
        for (; s + RK_V <= n; s += RK_V) {
            vf y;
            UNROLL for (int i = 0; i < RK_V; i++) y[i] = RK(row_sum)(rows, x[s + i], D->inputs) + bias;
            y = RK(act)(D->activation, D->hard_slope, D->hard_offset, y);
            UNROLL for (int i = 0; i < RK_V; i++) out[s + i][q] = y[i];
        }
        for (; s < n; s++) {
            const vf y = SPLAT(RK(row_sum)(rows, x[s], D->inputs) + bias);
            out[s][q] = RK(act)(D->activation, D->hard_slope, D->hard_offset, y).x;
        }
    }
}

static void RK(dense)(const rk_dense *D, int32_t n, const float *const *x, float *const *out) {
    const float *w = D->packed;
    const ptrdiff_t size = (1 + (ptrdiff_t)D->inputs) * RK_V;
    if (D->outputs <= RK_FEW && D->inputs % RK_V == 0) {
        RK(thin_dense)(D, n, x, out);
        return;
    }
    for (int32_t q = 0; q < D->outputs;) {
        const int two = q + RK_V < D->outputs;
        int32_t s = 0;
        for (; s + RK_MD <= n; s += RK_MD) {
            if (two) RK(dense_tile)(RK_MD, 2, D, q, w, size, x + s, out + s);
            else RK(dense_tile)(RK_MD, 1, D, q, w, size, x + s, out + s);
        }
        for (; s < n; s++) {
            if (two) RK(dense_tile)(1, 2, D, q, w, size, x + s, out + s);
            else RK(dense_tile)(1, 1, D, q, w, size, x + s, out + s);
        }
        q += (two + 1) * RK_V;
        w += (two + 1) * size;
    }
}

/* Derivative of an activation from its value. */
INLINE vf RK(slope)(int32_t kind, float slope, vf y) {
    switch (kind) {
    case RK_TANH: return SPLAT(1.0f) - y * y;
    case RK_SIGMOID: return y * (SPLAT(1.0f) - y);
    case RK_RELU: return y > SPLAT(0.0f) ? SPLAT(1.0f) : SPLAT(0.0f);
    case RK_HARD_SIGMOID: {
        vf upper = y < SPLAT(1.0f) ? SPLAT(slope) : SPLAT(0.0f);
        return y > SPLAT(0.0f) ? upper : SPLAT(0.0f);
    }
    default: return SPLAT(1.0f);
    }
}

static void RK(layer_backward)(const rk_layer *L, int32_t n, const rk_backward_rows *R) {
    const int32_t Hp = rk_round(L->hidden), cell = L->cell, A = rk_accumulators(cell);
    const int32_t ga = L->gate_activation, ca = L->candidate_activation, oa = L->output_activation;
    const float hs = L->hard_slope, ho = L->hard_offset;
    const vf one = SPLAT(1.0f);
    for (int32_t s = 0; s < n; s++) {
        const ptrdiff_t row = (ptrdiff_t)s * Hp, wide = (ptrdiff_t)s * Hp * A;
        for (int32_t u = 0; u < Hp; u += RK_V) {
            vf dh = LOAD(R->dh + row + u);
            const float *t = R->tape + wide + u;
            float *d = R->dg + wide + u;
            if (cell == RK_ELMAN) {
                STORE(d, dh * RK(slope)(ca, hs, LOAD(R->h_after + row + u)));
            } else if (cell == RK_LSTM) {
                vf i = LOAD(t), f = LOAD(t + Hp), g = LOAD(t + 2 * Hp), o = LOAD(t + 3 * Hp);
                vf y = RK(act)(oa, hs, ho, LOAD(R->c_after + row + u));
                vf dc = LOAD(R->dc + row + u) + dh * o * RK(slope)(oa, hs, y);
                STORE(d, dc * g * RK(slope)(ga, hs, i));
                STORE(d + Hp, dc * LOAD(R->c_before + row + u) * RK(slope)(ga, hs, f));
                STORE(d + 2 * Hp, dc * i * RK(slope)(ca, hs, g));
                STORE(d + 3 * Hp, dh * y * RK(slope)(ga, hs, o));
                STORE(R->dc + row + u, dc * f);
            } else {
                vf r = LOAD(t), z = LOAD(t + Hp), c = LOAD(t + 2 * Hp), m = LOAD(t + 3 * Hp);
                vf dn = dh * (one - z) * RK(slope)(ca, hs, c);
                vf dz = dh * (LOAD(R->h_before + row + u) - c) * RK(slope)(ga, hs, z);
                STORE(d, dn);
                STORE(d + Hp, dn * m * RK(slope)(ga, hs, r));
                STORE(d + 2 * Hp, dz);
                STORE(d + 3 * Hp, dn * r);
                STORE(R->dh_before + row + u, dh * z + LOAD(R->dh_before + row + u));
            }
        }
    }
}

/* C tile of P rows by Q vectors, summed over `rows`; a and b packed [rows][P] and [rows][Q vectors]. */
INLINE void RK(outer_tile)(const int P, const int Q, int32_t rows, const float *a, const float *b, float *c, ptrdiff_t ldc) {
    vf acc[RK_P][2];
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int q = 0; q < Q; q++) acc[p][q] = LOAD(c + p * ldc + q * RK_V);
    for (int32_t r = 0; r < rows; r++, a += P, b += Q * RK_V) {
        vf bs[2];
        UNROLL for (int q = 0; q < Q; q++) bs[q] = LOAD(b + q * RK_V);
        UNROLL for (int p = 0; p < P; p++) {
            vf as = SPLAT(a[p]);
            UNROLL for (int q = 0; q < Q; q++) acc[p][q] = as * bs[q] + acc[p][q];
        }
    }
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int q = 0; q < Q; q++) STORE(c + p * ldc + q * RK_V, acc[p][q]);
}

/* out [tiles of `width` columns][rows][width], the last tiles narrower (`narrow` columns each). Rows lie a power of two apart: read in
 * place, a tile would keep hitting the same few cache sets. */
INLINE void RK(outer_pack)(int32_t rows, const float *x, ptrdiff_t ldx, int32_t columns, const int width, const int narrow, float *out) {
    for (int32_t r = 0; r < rows; r++, x += ldx) {
        int32_t m = 0;
        for (; m + width <= columns; m += width) memcpy(out + (ptrdiff_t)m * rows + r * width, x + m, (size_t)width * sizeof(float));
        for (; m < columns; m += narrow) memcpy(out + (ptrdiff_t)m * rows + r * narrow, x + m, (size_t)narrow * sizeof(float));
    }
}

static void RK(outer_sum)(int32_t rows, const float *a, ptrdiff_t lda, int32_t M, const float *b, ptrdiff_t ldb, int32_t N, float *c,
                          ptrdiff_t ldc, float *scratch) {
    for (int32_t from = 0; from < rows; from += RK_OUTER_ROWS) {
        const int32_t R = rows - from < RK_OUTER_ROWS ? rows - from : RK_OUTER_ROWS;
        float *ap = scratch, *bp = scratch + (ptrdiff_t)R * M;
        RK(outer_pack)(R, a + from * lda, lda, M, RK_P, 1, ap);
        RK(outer_pack)(R, b + from * ldb, ldb, N, 2 * RK_V, RK_V, bp);
        for (int32_t q = 0; q < N;) {
            const int two = q + 2 * RK_V <= N;
            const float *bt = bp + (ptrdiff_t)q * R;
            int32_t m = 0;
            for (; m + RK_P <= M; m += RK_P) {
                if (two) RK(outer_tile)(RK_P, 2, R, ap + (ptrdiff_t)m * R, bt, c + m * ldc + q, ldc);
                else RK(outer_tile)(RK_P, 1, R, ap + (ptrdiff_t)m * R, bt, c + m * ldc + q, ldc);
            }
            for (; m < M; m++) {
                if (two) RK(outer_tile)(1, 2, R, ap + (ptrdiff_t)m * R, bt, c + m * ldc + q, ldc);
                else RK(outer_tile)(1, 1, R, ap + (ptrdiff_t)m * R, bt, c + m * ldc + q, ldc);
            }
            q += two ? 2 * RK_V : RK_V;
        }
    }
}

/* U vectors of columns of A against `count` (0, 1 or 2) columns of x, and their plain sum unless `sums` is NULL. */
INLINE void RK(thin_tile)(const int U, const int count, int32_t rows, const float *a, ptrdiff_t lda, const float *x, ptrdiff_t ldx,
                          float *c, ptrdiff_t ldc, float *sums) {
    vf acc[3][4];
    UNROLL for (int u = 0; u < U; u++) {
        acc[2][u] = sums ? LOAD(sums + u * RK_V) : SPLAT(0.0f);
        UNROLL for (int i = 0; i < count; i++) acc[i][u] = LOAD(c + i * ldc + u * RK_V);
    }
    for (int32_t r = 0; r < rows; r++, a += lda, x += ldx) {
        UNROLL for (int u = 0; u < U; u++) {
            const vf v = LOAD(a + u * RK_V);
            acc[2][u] = acc[2][u] + v;
            UNROLL for (int i = 0; i < count; i++) acc[i][u] = v * SPLAT(x[i]) + acc[i][u];
        }
    }
    UNROLL for (int u = 0; u < U; u++) {
        if (sums) STORE(sums + u * RK_V, acc[2][u]);
        UNROLL for (int i = 0; i < count; i++) STORE(c + i * ldc + u * RK_V, acc[i][u]);
    }
}

static void RK(thin_sum)(int32_t rows, const float *a, ptrdiff_t lda, int32_t M, const float *x, ptrdiff_t ldx, int32_t I, float *c,
                         ptrdiff_t ldc, float *sums) {
    for (int32_t from = 0; from < rows; from += RK_OUTER_ROWS) {
        const int32_t R = rows - from < RK_OUTER_ROWS ? rows - from : RK_OUTER_ROWS;
        const float *ar = a + from * lda, *xr = x + from * ldx;
        for (int32_t i = 0; i < I || i == 0; i += 2) {
            float *own = i == 0 ? sums : NULL;
#define RK_THIN(U, COUNT) RK(thin_tile)(U, COUNT, R, ar + m, lda, xr + i, ldx, c + i * ldc + m, ldc, own ? own + m : NULL)
            int32_t m = 0;
            for (; m + 4 * RK_V <= M; m += 4 * RK_V) {
                if (i + 2 <= I) RK_THIN(4, 2);
                else if (i < I) RK_THIN(4, 1);
                else RK_THIN(4, 0);
            }
            for (; m < M; m += RK_V) {
                if (i + 2 <= I) RK_THIN(1, 2);
                else if (i < I) RK_THIN(1, 1);
                else RK_THIN(1, 0);
            }
#undef RK_THIN
        }
    }
}

/* C tile of P rows by Q vectors += A [P][K] times packed columns; the last vector may be cut to `left` columns. */
INLINE void RK(gemm_tile)(const int P, const int Q, int32_t K, const float *a, ptrdiff_t lda, const float *w, ptrdiff_t size, float *c,
                          ptrdiff_t ldc, int32_t left) {
    vf acc[RK_P][2];
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int q = 0; q < Q; q++) acc[p][q] = SPLAT(0.0f);
    for (int32_t k = 0; k < K; k++, w += RK_V) {
        vf ws[2];
        UNROLL for (int q = 0; q < Q; q++) ws[q] = LOAD(w + q * size);
        UNROLL for (int p = 0; p < P; p++) {
            const vf as = SPLAT(a[p * lda + k]);
            UNROLL for (int q = 0; q < Q; q++) acc[p][q] = as * ws[q] + acc[p][q];
        }
    }
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int q = 0; q < Q; q++) {
        float *at = c + p * ldc + q * RK_V;
        if (left - q * RK_V >= RK_V) STORE(at, LOAD(at) + acc[p][q]);
        else {
            float part[RK_V] __attribute__((aligned(64)));
            STORE(part, acc[p][q]);
            for (int32_t i = 0; i < left - q * RK_V; i++) at[i] += part[i];
        }
    }
}

/* Blocks of K rows of two packed vectors stay in the first cache for all rows of A. */
static void RK(gemm)(int32_t rows, const float *a, ptrdiff_t lda, int32_t K, const float *packed, int32_t N, float *c, ptrdiff_t ldc) {
    const ptrdiff_t size = (1 + (ptrdiff_t)K) * RK_V;
    for (int32_t k = 0; k < K; k += RK_GEMM_DEPTH) {
        const int32_t depth = K - k < RK_GEMM_DEPTH ? K - k : RK_GEMM_DEPTH;
        const float *w = packed + (1 + (ptrdiff_t)k) * RK_V;
        for (int32_t q = 0; q < N;) {
            const int two = q + RK_V < N;
            for (int32_t r = 0; r < rows;) {
                const int32_t left = rows - r;
                /* Two rows over would be a slow tile of their own: two tiles of P - 2 instead. */
                const int32_t part = left >= RK_P && !(left % RK_P == 2 && left > RK_P) ? RK_P : left >= RK_P - 2 ? RK_P - 2 : left >= 2 ? 2 : 1;
#define RK_GEMM(P)                                                                                                      do {                                                                                                                    if (two) RK(gemm_tile)(P, 2, depth, a + r * lda + k, lda, w, size, c + r * ldc + q, ldc, N - q);                   else RK(gemm_tile)(P, 1, depth, a + r * lda + k, lda, w, size, c + r * ldc + q, ldc, N - q);                   } while (0)
                if (part == RK_P) RK_GEMM(RK_P);
                else if (part == RK_P - 2) RK_GEMM(RK_P - 2);
                else if (part == 2) RK_GEMM(2);
                else RK_GEMM(1);
#undef RK_GEMM
                r += part;
            }
            q += (two + 1) * RK_V;
            w += (two + 1) * size;
        }
    }
}

static void RK(activate)(int32_t kind, float slope, float offset, size_t n, const float *x, float *y) {
    for (size_t i = 0; i < n; i += RK_V) {
        float part[RK_V] __attribute__((aligned(64))) = {0};
        size_t left = n - i < RK_V ? n - i : RK_V;
        memcpy(part, x + i, left * sizeof(float));
        STORE(part, RK(act)(kind, slope, offset, LOAD(part)));
        memcpy(y + i, part, left * sizeof(float));
    }
}

#define RK_TABLE(label, pairs) \
    {label, RK_V, pairs, RK(layer_step), RK(dense), RK(layer_backward), RK(outer_sum), RK(thin_sum), RK(gemm), RK(activate)}
static const rk_table RK(table) = RK_TABLE(RK_LABEL, 0);
#if RK_HAS_PAIRS
static const rk_table RK(paired_table) = RK_TABLE(RK_LABEL "-paired", 1);
#endif
#undef RK_TABLE

#undef vf
#undef LOAD
#undef STORE
#undef SPLAT
#undef SPLAT_AT
#undef RK_AVX512
#undef INLINE
#undef UNROLL
#undef RK_V
#undef RK_M4
#undef RK_M4P
#undef RK_HAS_PAIRS
#undef RK_TILE_STREAMS
#undef RK_TILE_BLOCKS
#undef RK_CELLS
#undef RK_FORMS
#undef RK_MD
#undef RK_U1
#undef RK_U4
#undef RK_P
#undef RK_S
#undef RK_FUSED
#undef RK_LABEL
#undef RK
