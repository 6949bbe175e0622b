/* The kernels of one instruction set. Included with
 *   RK_V     lanes            RK(name)  name with the set's suffix
 *   RK_M4    streams of a tile with four accumulators each, RK_M1 with one, RK_MD rows of a dense tile with two
 *   RK_U4    unit blocks of a tile of a single stream with four accumulators each, RK_U1 with one (at most RK_M1)
 *   RK_P     rows of a tile of two vectors of a weight gradient
 * Legend: recurrent_kernels.h. */

typedef float RK(vf) __attribute__((ext_vector_type(RK_V)));
typedef int32_t RK(vi) __attribute__((ext_vector_type(RK_V)));
typedef float RK(vu) __attribute__((ext_vector_type(RK_V), aligned(4)));
#define vf RK(vf)
#define LOAD(p) ((vf)(*(const RK(vu) *)(p)))
#define STORE(p, v) (*(RK(vu) *)(p) = (v))
#define SPLAT(s) ((vf)(s))
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

/* Comparisons are written so that a NaN (overflow of finite weights and inputs) ends at the bound: no state is ever NaN. */
INLINE vf RK(clamp)(vf x, float lo, float hi) {
    x = x < SPLAT(hi) ? x : SPLAT(hi);
    return x > SPLAT(lo) ? x : SPLAT(lo);
}

/* exp(y) - 1 as scale * p + (scale - 1): y = k ln 2 + r, |r| <= ln 2 / 2, scale = 2^k, p = exp(r) - 1 (degree 7, coefficients of
 * Cephes' expf). Needs |y| < 87. */
INLINE vf RK(exp_parts)(vf y, vf *scale) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, which is then in the low bits */
    vf shifted = y * SPLAT(1.44269504088896341f) + SPLAT(magic);
    vf k = shifted - SPLAT(magic);
    vf r = y - k * SPLAT(0.693359375f);
    r = r - k * SPLAT(-2.12194440e-4f);
    vf p = SPLAT(1.9875691500e-4f);
    p = p * r + SPLAT(1.3981999507e-3f);
    p = p * r + SPLAT(8.3334519073e-3f);
    p = p * r + SPLAT(4.1665795894e-2f);
    p = p * r + SPLAT(1.6666665459e-1f);
    p = p * r + SPLAT(5.0000001201e-1f);
    *scale = (vf)((((RK(vi))shifted) << 23) + 0x3F800000);
    return p * (r * r) + r;
}

/* tanh x = (exp(2x) - 1) / (exp(2x) + 1), |error| < 1.5e-7, relative error < 1.8e-7 down to 0. The rational form of Eigen (13/6) has
 * three operations less, but its error of 2.5e-7 just below 1 spoils 1 - tanh^2 of saturated units (gradients off by 2e-5). */
INLINE vf RK(tanh)(vf x) {
    vf scale, p = RK(exp_parts)(RK(clamp)(x, -RK_TANH_BOUND, RK_TANH_BOUND) * SPLAT(2.0f), &scale);
    vf m = scale * p + (scale - SPLAT(1.0f));
    return m / (m + SPLAT(2.0f));
}

/* 1 / (1 + exp(-x)) */
INLINE vf RK(sigmoid)(vf x) {
    vf scale, p = RK(exp_parts)(RK(clamp)(SPLAT(0.0f) - x, -RK_SIGMOID_BOUND, RK_SIGMOID_BOUND), &scale);
    return SPLAT(1.0f) / (SPLAT(1.0f) + (scale * p + scale));
}

INLINE vf RK(act)(int32_t kind, float slope, float offset, vf x) {
    switch (kind) {
    case RK_TANH: return RK(tanh)(x);
    case RK_SIGMOID: return RK(sigmoid)(x);
    case RK_RELU: return RK(clamp)(x, 0.0f, FLT_MAX);
    case RK_HARD_SIGMOID: return RK(clamp)(x * SPLAT(slope) + SPLAT(offset), 0.0f, 1.0f);
    default: return RK(clamp)(x, -FLT_MAX, FLT_MAX);
    }
}

/* acc[s][to + g] += sum_k w[k][g] x[s][k]; gate 2 goes to accumulator `third`. */
INLINE void RK(products)(const int M, const int G, const int third, int32_t K, const float *w, const float *const *x, vf acc[][4]) {
    for (int32_t k = 0; k < K; k++, w += G * RK_V) {
        vf xs[RK_M1];
        UNROLL for (int s = 0; s < M; s++) xs[s] = SPLAT(x[s][k]);
        UNROLL for (int g = 0; g < G; g++) {
            const int a = g == 2 ? third : g;
            vf wg = LOAD(w + g * RK_V);
            UNROLL for (int s = 0; s < M; s++) acc[s][a] = wg * xs[s] + acc[s][a];
        }
    }
}

/* Activates the accumulators of V units of one stream: h to scratch, c and tape in place. */
INLINE void RK(finish)(const int cell, const int plain, const rk_layer *L, vf *acc, const float *h, float *scratch, int32_t Hp,
                       const float *c_in, float *c_out, float *t) {
    const int32_t ga = plain ? RK_SIGMOID : L->gate_activation, ca = plain ? RK_TANH : L->candidate_activation;
    const int32_t oa = plain ? RK_TANH : L->output_activation;
    const float hs = L->hard_slope, ho = L->hard_offset;
    vf out;
    if (cell == RK_ELMAN) {
        out = RK(act)(ca, hs, ho, acc[0]);
    } else if (cell == RK_LSTM) {
        vf i = RK(act)(ga, hs, ho, acc[0]), f = RK(act)(ga, hs, ho, acc[1]);
        vf g = RK(act)(ca, hs, ho, acc[2]), o = RK(act)(ga, hs, ho, acc[3]);
        vf c = f * LOAD(c_in) + i * g;
        STORE(c_out, c);
        vf y = RK(act)(oa, hs, ho, c);
        out = o * y;
        if (t) { STORE(t, i); STORE(t + Hp, f); STORE(t + 2 * Hp, g); STORE(t + 3 * Hp, o); }
    } else {
        vf r = RK(act)(ga, hs, ho, acc[0]), z = RK(act)(ga, hs, ho, acc[1]);
        vf m = acc[3];
        vf n = RK(act)(ca, hs, ho, r * m + acc[2]);
        out = z * (LOAD(h) - n) + n;
        if (t) { STORE(t, r); STORE(t + Hp, z); STORE(t + 2 * Hp, n); STORE(t + 3 * Hp, m); }
    }
    STORE(scratch, out);
}

/* One block of V units for M streams. */
INLINE void RK(tile)(const int cell, const int plain, const int M, const rk_layer *L, int32_t u, const float *w, const float *const *x,
                     const float *const *h, float *scratch, int32_t Hp, const float *const *c_in, float *const *c_out, float *tape,
                     ptrdiff_t tape_stride) {
    const int A = cell == RK_ELMAN ? 1 : 4, G = cell == RK_ELMAN ? 1 : cell == RK_LSTM ? 4 : 3;
    vf acc[RK_M1][4];
    UNROLL for (int s = 0; s < M; s++) UNROLL for (int a = 0; a < A; a++) acc[s][a] = LOAD(w + a * RK_V);
    w += A * RK_V;
    RK(products)(M, G, 2, L->inputs, w, x, acc);
    w += (ptrdiff_t)L->inputs * G * RK_V;
    RK(products)(M, G, cell == RK_GRU ? 3 : 2, L->hidden, w, h, acc);
    UNROLL for (int s = 0; s < M; s++)
        RK(finish)(cell, plain, L, acc[s], h[s] + u, scratch + (ptrdiff_t)s * Hp + u, Hp, cell == RK_LSTM ? c_in[s] + u : NULL,
                   cell == RK_LSTM ? c_out[s] + u : NULL, tape ? tape + s * tape_stride + u : NULL);
}

/* U blocks of V units for a single stream: enough independent sums to hide the latency of an addition. `size`: floats of a block. */
INLINE void RK(tile_wide)(const int cell, const int plain, const int U, const rk_layer *L, int32_t u, const float *w, ptrdiff_t size,
                          const float *x, const float *h, float *scratch, int32_t Hp, const float *c_in, float *c_out, float *tape) {
    const int A = cell == RK_ELMAN ? 1 : 4, G = cell == RK_ELMAN ? 1 : cell == RK_LSTM ? 4 : 3;
    vf acc[RK_M1][4];
    UNROLL for (int b = 0; b < U; b++) UNROLL for (int a = 0; a < A; a++) acc[b][a] = LOAD(w + b * size + a * RK_V);
    w += A * RK_V;
    for (int32_t k = 0; k < L->inputs; k++, w += G * RK_V) {
        const vf xs = SPLAT(x[k]);
        UNROLL for (int b = 0; b < U; b++)
            UNROLL for (int g = 0; g < G; g++) acc[b][g] = LOAD(w + b * size + g * RK_V) * xs + acc[b][g];
    }
    for (int32_t k = 0; k < L->hidden; k++, w += G * RK_V) {
        const vf xs = SPLAT(h[k]);
        UNROLL for (int b = 0; b < U; b++) UNROLL for (int g = 0; g < G; g++) {
            const int a = cell == RK_GRU && g == 2 ? 3 : g;
            acc[b][a] = LOAD(w + b * size + g * RK_V) * xs + acc[b][a];
        }
    }
    UNROLL for (int b = 0; b < U; b++) {
        const int32_t at = u + b * RK_V;
        RK(finish)(cell, plain, L, acc[b], h + at, scratch + at, Hp, cell == RK_LSTM ? c_in + at : NULL,
                   cell == RK_LSTM ? c_out + at : NULL, tape ? tape + at : NULL);
    }
}

INLINE void RK(block)(const int cell, const int plain, const rk_layer *L, int32_t n, const float *const *x, const float *const *h,
                      float *scratch, const float *const *c_in, float *const *c_out, float *tape, ptrdiff_t tape_stride) {
    const int A = cell == RK_ELMAN ? 1 : 4, G = cell == RK_ELMAN ? 1 : cell == RK_LSTM ? 4 : 3;
    const int M = cell == RK_ELMAN ? RK_M1 : RK_M4;
    const int32_t Hp = rk_round(L->hidden);
    const ptrdiff_t size = ((ptrdiff_t)A + (ptrdiff_t)(L->inputs + L->hidden) * G) * RK_V;
    const float *w = L->packed;
    int32_t u = 0;
    if (n == 1) {
        const int U = cell == RK_ELMAN ? RK_U1 : RK_U4;
        for (; u + (U - 1) * RK_V < L->hidden; u += U * RK_V, w += U * size)
            RK(tile_wide)(cell, plain, U, L, u, w, size, x[0], h[0], scratch, Hp, cell == RK_LSTM ? c_in[0] : NULL,
                          cell == RK_LSTM ? c_out[0] : NULL, tape);
    }
    for (; u < L->hidden; u += RK_V, w += size) {
        int32_t s = 0;
#define RK_TILE(M)                                                                                                                     \
    RK(tile)(cell, plain, M, L, u, w, x + s, h + s, scratch + (ptrdiff_t)s *Hp, Hp, c_in ? c_in + s : NULL, c_out ? c_out + s : NULL,   \
             tape ? tape + s * tape_stride : NULL, tape_stride)
        for (; s + M <= n; s += M) RK_TILE(M);
        for (; s < n; s++) RK_TILE(1);
#undef RK_TILE
    }
}

/* GRU with the reset before the product needs r of every unit before n of any: two passes.
 * Pack: per unit block [2 bias][I][2], [H][2]; then per unit block [1 bias][I][1], [H][1]. scratch: 3 areas of n rows. */
static void RK(reset_before)(const rk_layer *L, int32_t n, const float *const *x, const float *const *h, float *scratch, float *tape,
                             ptrdiff_t tape_stride) {
    const int32_t Hp = rk_round(L->hidden), K = L->inputs + L->hidden;
    const float hs = L->hard_slope, ho = L->hard_offset;
    float *rh = scratch + (ptrdiff_t)n * Hp, *zs = rh + (ptrdiff_t)n * Hp;
    const float *w = L->packed;
    for (int32_t u = 0; u < L->hidden; u += RK_V, w += (2 + (ptrdiff_t)K * 2) * RK_V) {
        for (int32_t s = 0; s < n; s++) {
            vf acc[RK_M1][4];
            acc[0][0] = LOAD(w); acc[0][1] = LOAD(w + RK_V);
            RK(products)(1, 2, 2, L->inputs, w + 2 * RK_V, x + s, acc);
            RK(products)(1, 2, 2, L->hidden, w + (2 + (ptrdiff_t)L->inputs * 2) * RK_V, h + s, acc);
            vf r = RK(act)(L->gate_activation, hs, ho, acc[0][0]), z = RK(act)(L->gate_activation, hs, ho, acc[0][1]);
            STORE(rh + (ptrdiff_t)s * Hp + u, r * LOAD(h[s] + u));
            STORE(zs + (ptrdiff_t)s * Hp + u, z);
            if (tape) { STORE(tape + s * tape_stride + u, r); STORE(tape + s * tape_stride + Hp + u, z); }
        }
    }
    for (int32_t u = 0; u < L->hidden; u += RK_V, w += (1 + (ptrdiff_t)K) * RK_V) {
        for (int32_t s = 0; s < n; s++) {
            const float *reset = rh + (ptrdiff_t)s * Hp;
            vf acc[RK_M1][4];
            acc[0][0] = LOAD(w);
            RK(products)(1, 1, 2, L->inputs, w + RK_V, x + s, acc);
            RK(products)(1, 1, 2, L->hidden, w + (1 + (ptrdiff_t)L->inputs) * RK_V, &reset, acc);
            vf c = RK(act)(L->candidate_activation, hs, ho, acc[0][0]);
            STORE(scratch + (ptrdiff_t)s * Hp + u, LOAD(zs + (ptrdiff_t)s * Hp + u) * (LOAD(h[s] + u) - c) + c);
            if (tape) STORE(tape + s * tape_stride + 2 * Hp + u, c);
        }
    }
}

static void RK(layer_step)(const rk_layer *L, int32_t n, const float *const *x, const float *const *h_in, float *const *h_out,
                           const float *const *c_in, float *const *c_out, float *tape, ptrdiff_t tape_stride) {
    float scratch[RK_SCRATCH] __attribute__((aligned(64)));
    const int32_t Hp = rk_round(L->hidden);
    const int32_t areas = L->cell == RK_GRU_RESET_BEFORE ? 3 : 1;
    int32_t most = RK_SCRATCH / (Hp * areas);
    if (most > 48) most = 48;
    const int plain = L->gate_activation == RK_SIGMOID && L->candidate_activation == RK_TANH && L->output_activation == RK_TANH;
    for (int32_t from = 0; from < n; from += most) {
        int32_t m = n - from < most ? n - from : most;
        const float *const *xs = x + from, *const *hs = h_in + from, *const *ci = c_in ? c_in + from : NULL;
        float *const *co = c_out ? c_out + from : NULL;
        float *tp = tape ? tape + from * tape_stride : NULL;
        switch (L->cell) {
        case RK_ELMAN:
            if (plain) RK(block)(RK_ELMAN, 1, L, m, xs, hs, scratch, NULL, NULL, NULL, 0);
            else RK(block)(RK_ELMAN, 0, L, m, xs, hs, scratch, NULL, NULL, NULL, 0);
            break;
        case RK_LSTM:
            if (plain) RK(block)(RK_LSTM, 1, L, m, xs, hs, scratch, ci, co, tp, tape_stride);
            else RK(block)(RK_LSTM, 0, L, m, xs, hs, scratch, ci, co, tp, tape_stride);
            break;
        case RK_GRU:
            if (plain) RK(block)(RK_GRU, 1, L, m, xs, hs, scratch, NULL, NULL, tp, tape_stride);
            else RK(block)(RK_GRU, 0, L, m, xs, hs, scratch, NULL, NULL, tp, tape_stride);
            break;
        default: RK(reset_before)(L, m, xs, hs, scratch, tp, tape_stride);
        }
        const int32_t used = (L->hidden + RK_V - 1) / RK_V * RK_V;
        for (int32_t s = 0; s < m; s++)
            for (int32_t u = 0; u < used; u += RK_V) STORE(h_out[from + s] + u, LOAD(scratch + (ptrdiff_t)s * Hp + u));
    }
}

/* M rows by Q blocks of V outputs. Two sums per output, over even and odd k, added at the end: a single row would otherwise wait for
 * every addition. */
INLINE void RK(dense_tile)(const int M, const int Q, const rk_dense *D, int32_t q, const float *w, ptrdiff_t size, const float *const *x,
                           float *const *out, int32_t add) {
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
            UNROLL for (int s = 0; s < M; s++) xs[s] = SPLAT(x[s][k + odd]);
            UNROLL for (int b = 0; b < Q; b++) {
                const vf wb = LOAD(w + b * size + odd * RK_V);
                UNROLL for (int s = 0; s < M; s++) acc[s][b][odd] = wb * xs[s] + acc[s][b][odd];
            }
        }
    }
    if (k < D->inputs)
        UNROLL for (int b = 0; b < Q; b++)
            UNROLL for (int s = 0; s < M; s++) acc[s][b][0] = LOAD(w + b * size) * SPLAT(x[s][k]) + acc[s][b][0];
    UNROLL for (int s = 0; s < M; s++) UNROLL for (int b = 0; b < Q; b++) {
        const int32_t at = q + b * RK_V, left = D->outputs - at;
        float *o = out[s] + at;
        vf y = acc[s][b][0] + acc[s][b][1];
        if (left >= RK_V) {
            if (add) y = y + LOAD(o);
            STORE(o, RK(act)(D->activation, D->hard_slope, D->hard_offset, y));
        } else {
            float part[RK_V] __attribute__((aligned(64))) = {0};
            for (int32_t i = 0; add && i < left; i++) part[i] = o[i];
            if (add) y = y + LOAD(part);
            STORE(part, RK(act)(D->activation, D->hard_slope, D->hard_offset, y));
            for (int32_t i = 0; i < left; i++) o[i] = part[i];
        }
    }
}

static void RK(dense)(const rk_dense *D, int32_t n, const float *const *x, float *const *out, int32_t add) {
    const float *w = D->packed;
    const ptrdiff_t size = (1 + (ptrdiff_t)D->inputs) * RK_V;
    for (int32_t q = 0; q < D->outputs;) {
        const int two = q + RK_V < D->outputs;
        int32_t s = 0;
        for (; s + RK_MD <= n; s += RK_MD) {
            if (two) RK(dense_tile)(RK_MD, 2, D, q, w, size, x + s, out + s, add);
            else RK(dense_tile)(RK_MD, 1, D, q, w, size, x + s, out + s, add);
        }
        for (; s < n; s++) {
            if (two) RK(dense_tile)(1, 2, D, q, w, size, x + s, out + s, add);
            else RK(dense_tile)(1, 1, D, q, w, size, x + s, out + s, add);
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
        for (; m + width <= columns; m += width)
            for (int32_t i = 0; i < width; i++) out[(ptrdiff_t)m * rows + r * width + i] = x[m + i];
        for (; m < columns; m += narrow)
            for (int32_t i = 0; i < narrow; i++) out[(ptrdiff_t)m * rows + r * narrow + i] = x[m + i];
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

static void RK(activate)(int32_t kind, float slope, float offset, size_t n, const float *x, float *y) {
    for (size_t i = 0; i < n; i += RK_V) {
        float part[RK_V] __attribute__((aligned(64))) = {0};
        size_t left = n - i < RK_V ? n - i : RK_V;
        memcpy(part, x + i, left * sizeof(float));
        STORE(part, RK(act)(kind, slope, offset, LOAD(part)));
        memcpy(y + i, part, left * sizeof(float));
    }
}

static const rk_table RK(table) = {RK_LABEL,        RK_V,           RK(layer_step), RK(dense),
                                   RK(layer_backward), RK(outer_sum), RK(activate)};

#undef vf
#undef LOAD
#undef STORE
#undef SPLAT
#undef INLINE
#undef UNROLL
#undef RK_V
#undef RK_M1
#undef RK_M4
#undef RK_MD
#undef RK_U1
#undef RK_U4
#undef RK_P
#undef RK_LABEL
#undef RK
