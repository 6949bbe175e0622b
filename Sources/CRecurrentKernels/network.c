/* What does not depend on the instruction set: packing, the stack of layers, optimisers, the naive cell. */
#include "recurrent_kernels.h"

#include <math.h>
#include <string.h>

static inline int32_t blocks(int32_t n, int32_t lanes) { return (n + lanes - 1) / lanes; }

size_t rk_layer_pack_size(int32_t cell, int32_t inputs, int32_t hidden, int32_t lanes) {
    size_t K = (size_t)inputs + (size_t)hidden;
    return (size_t)blocks(hidden, lanes) * (size_t)lanes * ((size_t)rk_accumulators(cell) + K * (size_t)rk_gates(cell));
}

int32_t rk_layer_pairs(const rk_table *table, const rk_layer *layer, const float *w_hh) {
    const int32_t H = layer->hidden;
    const size_t count = (size_t)rk_gates(layer->cell) * (size_t)H * (size_t)H;
    if (!table->paired || layer->cell == RK_GRU_RESET_BEFORE || !rk_plain(layer)) return 0;
    if (H <= (layer->cell == RK_ELMAN ? 48 : 16)) return 0; /* too few products to pay for it */
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(w_hh[i]) <= RK_PAIR_WEIGHT)) return 0;
    /* Two products by pairs for every plain one; no more plain ones than pairs. */
    return (H + 2) / 3;
}

/* The hidden unit whose weights are the i-th of the pack: pairs and plain ones in turn, then what is left of the pairs. */
static int32_t unit_at(int32_t i, int32_t hidden, int32_t pairs) {
    if (!pairs) return i;
    const int32_t plain = hidden - 2 * pairs, turn = i < 3 * plain ? i / 3 : plain + (i - 3 * plain) / 2;
    const int32_t place = i < 3 * plain ? i % 3 : (i - 3 * plain) % 2;
    return place * pairs + turn;
}

/* [K][count][lanes] of gate rows first..<first+count of unit block u. */
static float *pack_part(float *out, const float *w, int32_t K, int32_t hidden, int32_t pairs, int32_t first, int32_t count, int32_t u,
                        int32_t lanes) {
    for (int32_t i = 0; i < K; i++) {
        const int32_t k = unit_at(i, K, pairs);
        for (int32_t g = 0; g < count; g++)
            for (int32_t j = 0; j < lanes; j++)
                *out++ = u + j < hidden ? w[((size_t)(first + g) * (size_t)hidden + (size_t)(u + j)) * (size_t)K + (size_t)k] : 0.0f;
    }
    return out;
}

/* sum_i w1 w2 over the pairs of one row of w_hh. */
static double pair_excess(const float *row, int32_t pairs) {
    double sum = 0;
    for (int32_t i = 0; i < pairs; i++) sum += (double)row[i] * (double)row[pairs + i];
    return sum;
}

void rk_pack_layer(int32_t cell, int32_t inputs, int32_t hidden, int32_t pairs, int32_t lanes, const float *w_ih, const float *w_hh,
                   const float *bias, float *out) {
    const int32_t split = cell == RK_GRU_RESET_BEFORE, G = rk_gates(cell), A = rk_accumulators(cell);
    for (int32_t pass = 0; pass <= split; pass++) {
        const int32_t first = pass ? 2 : 0, gates = split ? (pass ? 1 : 2) : G, sums = split ? gates : A;
        for (int32_t u = 0; u < hidden; u += lanes) {
            for (int32_t a = first; a < first + sums; a++) {
                /* The gate whose product with the state ends in this accumulator. */
                const int32_t gate = cell != RK_GRU ? a : a == 3 ? 2 : a == 2 ? -1 : a;
                for (int32_t j = u; j < u + lanes; j++) {
                    const size_t row = ((size_t)(gate < 0 ? 0 : gate) * (size_t)hidden + (size_t)(j < hidden ? j : 0)) * (size_t)hidden;
                    const double excess = gate < 0 ? 0 : pair_excess(w_hh + row, pairs);
                    *out++ = j < hidden ? (float)((double)bias[(size_t)a * (size_t)hidden + (size_t)j] - excess) : 0.0f;
                }
            }
            out = pack_part(out, w_ih, inputs, hidden, 0, first, gates, u, lanes);
            out = pack_part(out, w_hh, hidden, hidden, pairs, first, gates, u, lanes);
        }
    }
}

size_t rk_dense_pack_size(int32_t inputs, int32_t outputs, int32_t lanes) {
    const size_t rows = outputs <= RK_FEW ? (size_t)outputs * (size_t)inputs : 0;
    return (size_t)blocks(outputs, lanes) * (size_t)lanes * (1 + (size_t)inputs) + rows;
}

void rk_pack_dense(int32_t inputs, int32_t outputs, int32_t lanes, const float *w, ptrdiff_t k_stride, ptrdiff_t q_stride,
                   const float *bias, float *out) {
    for (int32_t q = 0; q < outputs; q += lanes) {
        for (int32_t i = 0; i < lanes; i++) *out++ = bias && q + i < outputs ? bias[q + i] : 0.0f;
        for (int32_t k = 0; k < inputs; k++)
            for (int32_t i = 0; i < lanes; i++) *out++ = q + i < outputs ? w[k * k_stride + (q + i) * q_stride] : 0.0f;
    }
    for (int32_t q = 0; q < outputs && outputs <= RK_FEW; q++)
        for (int32_t k = 0; k < inputs; k++) *out++ = w[k * k_stride + q * q_stride];
}

#define CHUNK 48

/* Dense layers one after another for a few rows at a time, the values between them on the stack. */
static __attribute__((noinline)) void head(const rk_table *table, const rk_network *net, int32_t n, const float *const *in, float *const *out) {
    float values[2][4 * RK_DENSE_WIDTH_MAX];
    for (int32_t from = 0; from < n; from += 4) {
        const int32_t m = n - from < 4 ? n - from : 4;
        const float *x[4];
        float *y[4];
        for (int32_t i = 0; i < m; i++) x[i] = in[from + i];
        for (int32_t d = 0; d < net->dense_count; d++) {
            for (int32_t i = 0; i < m; i++) y[i] = d + 1 < net->dense_count ? values[d & 1] + i * RK_DENSE_WIDTH_MAX : out[from + i];
            table->dense(&net->dense[d], m, x, y);
            for (int32_t i = 0; i < m; i++) x[i] = y[i];
        }
    }
}

void rk_network_step(const rk_table *table, const rk_network *net, size_t n, const float *x, ptrdiff_t x_stride, float *state,
                     ptrdiff_t state_stride, const uint32_t *rows, float *out, ptrdiff_t out_stride) {
    const float *in[CHUNK], *c_in[CHUNK], *h_in[CHUNK];
    float *row[CHUNK], *h[CHUNK], *c[CHUNK], *o[CHUNK];
    for (size_t from = 0; from < n; from += CHUNK) {
        const int32_t m = (int32_t)(n - from < CHUNK ? n - from : CHUNK);
        for (int32_t i = 0; i < m; i++) {
            row[i] = state + (ptrdiff_t)(rows ? rows[from + (size_t)i] : from + (size_t)i) * state_stride;
            in[i] = x + ((ptrdiff_t)from + i) * x_stride;
        }
        for (int32_t l = 0; l < net->layers; l++) {
            const int32_t lstm = net->layer[l].cell == RK_LSTM;
            for (int32_t i = 0; i < m; i++) {
                h_in[i] = h[i] = row[i] + net->hidden_offset[l];
                c_in[i] = c[i] = row[i] + net->cell_offset[l];
            }
            table->layer_step(&net->layer[l], m, in, h_in, h, lstm ? c_in : NULL, lstm ? c : NULL, NULL, 0);
            for (int32_t i = 0; i < m; i++) in[i] = h[i];
        }
        if (!out) continue;
        for (int32_t i = 0; i < m; i++) o[i] = out + ((ptrdiff_t)from + i) * out_stride;
        if (net->dense_count == 1) table->dense(&net->dense[0], m, in, o);
        else if (net->dense_count > 1) head(table, net, m, in, o);
        else
            for (int32_t i = 0; i < m; i++) memcpy(o[i], in[i], (size_t)net->layer[net->layers - 1].hidden * sizeof(float));
    }
}

void rk_network_run(const rk_table *table, const rk_network *net, size_t n, size_t steps, const float *x, ptrdiff_t x_stride,
                    ptrdiff_t x_step, float *state, ptrdiff_t state_stride, const uint32_t *rows, float *out, ptrdiff_t out_stride,
                    ptrdiff_t out_step) {
    for (size_t t = 0; t < steps; t++)
        rk_network_step(table, net, n, x + (ptrdiff_t)t * x_step, x_stride, state, state_stride, rows,
                        out ? out + (ptrdiff_t)t * out_step : NULL, out_stride);
}

void rk_layer_rows(const rk_table *table, const rk_layer *layer, int32_t n, const float *x, ptrdiff_t x_stride, const float *h_in,
                   float *h_out, const float *c_in, float *c_out, ptrdiff_t stride, float *tape, ptrdiff_t tape_stride) {
    const float *xs[CHUNK], *hi[CHUNK], *ci[CHUNK];
    float *ho[CHUNK], *co[CHUNK];
    for (int32_t from = 0; from < n; from += CHUNK) {
        const int32_t m = n - from < CHUNK ? n - from : CHUNK;
        for (int32_t i = 0; i < m; i++) {
            const ptrdiff_t row = (ptrdiff_t)(from + i) * stride;
            xs[i] = x + (from + i) * x_stride;
            hi[i] = h_in + row;
            ho[i] = h_out + row;
            ci[i] = c_in ? c_in + row : NULL;
            co[i] = c_out ? c_out + row : NULL;
        }
        table->layer_step(layer, m, xs, hi, ho, c_in ? ci : NULL, c_out ? co : NULL, tape ? tape + from * tape_stride : NULL, tape_stride);
    }
}

void rk_dense_rows(const rk_table *table, const rk_dense *dense, int32_t n, const float *x, ptrdiff_t x_stride, float *out,
                   ptrdiff_t out_stride) {
    const float *xs[CHUNK];
    float *os[CHUNK];
    for (int32_t from = 0; from < n; from += CHUNK) {
        const int32_t m = n - from < CHUNK ? n - from : CHUNK;
        for (int32_t i = 0; i < m; i++) {
            xs[i] = x + (from + i) * x_stride;
            os[i] = out + (from + i) * out_stride;
        }
        table->dense(dense, m, xs, os);
    }
}

void rk_column_sum(int32_t rows, const float *a, ptrdiff_t lda, int32_t M, float *out) {
    for (int32_t r = 0; r < rows; r++)
        for (int32_t m = 0; m < M; m++) out[m] += a[r * lda + m];
}

size_t rk_first_not_finite(const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return i;
    return n;
}

double rk_square_sum(const float *x, size_t n) {
    double lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++) lanes[j] += (double)x[i + j] * (double)x[i + j];
    double sum = 0;
    for (; i < n; i++) sum += (double)x[i] * (double)x[i];
    for (size_t j = 0; j < 8; j++) sum += lanes[j];
    return sum;
}

void rk_scale(float *g, size_t n, float s) {
    for (size_t i = 0; i < n; i++) g[i] *= s;
}

void rk_adam(float *w, const float *g, float *m, float *v, size_t n, double rate, double beta1, double beta2, double epsilon,
             double weight_decay, int64_t step) {
    const float b1 = (float)beta1, b2 = (float)beta2, rest1 = (float)(1 - beta1), rest2 = (float)(1 - beta2), decay = (float)weight_decay;
    const double correction1 = 1 - pow(beta1, (double)step), correction2 = 1 - pow(beta2, (double)step);
    const float scale = (float)(rate / correction1), root = (float)(1 / sqrt(correction2)), eps = (float)epsilon;
    for (size_t i = 0; i < n; i++) {
        float d = g[i] + decay * w[i];
        m[i] = b1 * m[i] + rest1 * d;
        v[i] = b2 * v[i] + rest2 * d * d;
        w[i] -= scale * m[i] / (__builtin_elementwise_sqrt(v[i]) * root + eps);
    }
}

void rk_sgd(float *w, const float *g, float *m, size_t n, double rate, double momentum, double weight_decay, int32_t first) {
    const float a = (float)rate, mu = (float)momentum, decay = (float)weight_decay;
    for (size_t i = 0; i < n; i++) {
        float d = g[i] + decay * w[i];
        if (m) d = m[i] = first ? d : mu * m[i] + d;
        w[i] -= a * d;
    }
}

static float dot(const float *w, const float *x, int32_t n) {
    float s = 0;
    for (int32_t k = 0; k < n; k++) s += w[k] * x[k];
    return s;
}

static float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

void rk_naive_step(int32_t cell, int32_t relu, int32_t inputs, int32_t hidden, const float *w_ih, const float *w_hh, const float *bias,
                   const float *x, float *h, float *c, float *scratch) {
    const int32_t H = hidden;
    for (int32_t u = 0; u < H; u++) {
        float a[4] = {0}, b[4] = {0};
        for (int32_t g = 0; g < rk_gates(cell); g++) {
            a[g] = dot(w_ih + ((size_t)g * (size_t)H + (size_t)u) * (size_t)inputs, x, inputs) + bias[g * H + u];
            b[g] = dot(w_hh + ((size_t)g * (size_t)H + (size_t)u) * (size_t)H, h, H);
        }
        if (cell == RK_ELMAN) scratch[u] = relu ? fmaxf(a[0] + b[0], 0) : tanhf(a[0] + b[0]);
        else if (cell == RK_LSTM) {
            c[u] = logistic(a[1] + b[1]) * c[u] + logistic(a[0] + b[0]) * tanhf(a[2] + b[2]);
            scratch[u] = logistic(a[3] + b[3]) * tanhf(c[u]);
        } else {
            float r = logistic(a[0] + b[0]), z = logistic(a[1] + b[1]), n = tanhf(a[2] + r * (b[2] + bias[3 * H + u]));
            scratch[u] = (1 - z) * n + z * h[u];
        }
    }
    memcpy(h, scratch, (size_t)H * sizeof(float));
}
