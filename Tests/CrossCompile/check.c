/* The kernels of every instruction set that this processor (or emulator) has, against plain sums in double precision.
 * Prints one line per set and cell with the largest error; ends with 1 if an error is too large. Needs nothing but a C library. */
#include "recurrent_kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 88172645463325252ull;
static float draw(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (float)((double)(seed >> 11) / 9007199254740992.0 * 2 - 1);
}
static float *values(size_t n) {
    float *p = aligned_alloc(64, (n * sizeof(float) + 127) / 64 * 64);
    for (size_t i = 0; i < n; i++) p[i] = draw();
    return p;
}
static double logistic(double x) { return 1 / (1 + exp(-x)); }

static double dot(const float *w, const float *x, int n) {
    double s = 0;
    for (int k = 0; k < n; k++) s += (double)w[k] * (double)x[k];
    return s;
}

/* One step of one stream; h and c in double precision in, out. */
static void reference(int cell, int I, int H, const float *wi, const float *wh, const float *b, const float *x, const float *h, const float *c,
                      double *out, double *cell_out) {
    double *r = malloc(sizeof(double) * (size_t)H), *z = malloc(sizeof(double) * (size_t)H);
    float *rh = malloc(sizeof(float) * (size_t)H);
    const int split = cell == RK_GRU_RESET_BEFORE;
    for (int u = 0; u < H; u++) {
        double a[4] = {0}, d[4] = {0};
        for (int g = 0; g < rk_gates(cell); g++) {
            a[g] = dot(wi + (size_t)(g * H + u) * (size_t)I, x, I) + (double)b[g * H + u];
            d[g] = dot(wh + (size_t)(g * H + u) * (size_t)H, h, H);
        }
        if (cell == RK_ELMAN) out[u] = tanh(a[0] + d[0]);
        else if (cell == RK_LSTM) {
            cell_out[u] = logistic(a[1] + d[1]) * (double)c[u] + logistic(a[0] + d[0]) * tanh(a[2] + d[2]);
            out[u] = logistic(a[3] + d[3]) * tanh(cell_out[u]);
        } else {
            r[u] = logistic(a[0] + d[0]);
            z[u] = logistic(a[1] + d[1]);
            rh[u] = (float)(r[u] * (double)h[u]);
            if (!split) {
                double n = tanh(a[2] + r[u] * (d[2] + (double)b[3 * H + u]));
                out[u] = (1 - z[u]) * n + z[u] * (double)h[u];
            }
        }
    }
    for (int u = 0; split && u < H; u++) {
        double n = tanh(dot(wi + (size_t)(2 * H + u) * (size_t)I, x, I) + dot(wh + (size_t)(2 * H + u) * (size_t)H, rh, H) + (double)b[2 * H + u]);
        out[u] = (1 - z[u]) * n + z[u] * (double)h[u];
    }
    free(r), free(z), free(rh);
}

static double check_cell(const rk_table *t, int cell, int I, int H, int n) {
    const int G = rk_gates(cell), A = rk_accumulators(cell), Hp = rk_round(H);
    float *wi = values((size_t)(G * H * I)), *wh = values((size_t)(G * H * H)), *b = values((size_t)(A * H));
    for (int i = 0; i < G * H * H; i++) wh[i] /= sqrtf((float)H);
    float *packed = values(rk_layer_pack_size(cell, I, H, t->lanes));
    rk_layer layer = {cell, I, H, RK_SIGMOID, RK_TANH, RK_TANH, 0, 0, 0, packed};
    layer.pairs = rk_layer_pairs(t, &layer, wh);
    rk_pack_layer(cell, I, H, layer.pairs, t->lanes, wi, wh, b, packed);
    float *x = values((size_t)(n * I)), *h = values((size_t)(n * Hp)), *c = values((size_t)(n * Hp)), *ho = values((size_t)(n * Hp)), *co = values((size_t)(n * Hp));
    rk_layer_rows(t, &layer, n, x, I, h, ho, cell == RK_LSTM ? c : NULL, cell == RK_LSTM ? co : NULL, Hp, NULL, 0);
    double worst = 0, *out = malloc(sizeof(double) * (size_t)H), *cell_out = malloc(sizeof(double) * (size_t)H);
    for (int s = 0; s < n; s++) {
        reference(cell, I, H, wi, wh, b, x + s * I, h + s * Hp, c + s * Hp, out, cell_out);
        for (int u = 0; u < H; u++) {
            worst = fmax(worst, fabs((double)ho[s * Hp + u] - out[u]));
            if (cell == RK_LSTM) worst = fmax(worst, fabs((double)co[s * Hp + u] - cell_out[u]));
        }
    }
    free(wi), free(wh), free(b), free(packed), free(x), free(h), free(c), free(ho), free(co), free(out), free(cell_out);
    return worst;
}

static double check_products(const rk_table *t, int rows, int K, int N) {
    float *a = values((size_t)(rows * K)), *w = values((size_t)(K * N)), *c = values((size_t)(rows * N)), *start = values((size_t)(rows * N));
    float *packed = values(rk_dense_pack_size(K, N, t->lanes));
    memcpy(c, start, sizeof(float) * (size_t)(rows * N));
    rk_pack_dense(K, N, t->lanes, w, N, 1, NULL, packed);
    t->gemm(rows, a, K, K, packed, N, c, N);
    double worst = 0;
    for (int r = 0; r < rows; r++)
        for (int q = 0; q < N; q++) {
            double s = (double)start[r * N + q];
            for (int k = 0; k < K; k++) s += (double)a[r * K + k] * (double)w[k * N + q];
            worst = fmax(worst, fabs(s - (double)c[r * N + q]) / sqrt(K));
        }
    const int M = rk_round(K), W = rk_round(N);
    float *am = values((size_t)(rows * M)), *bw = values((size_t)(rows * W)), *cm = calloc((size_t)(M * W), sizeof(float));
    float *scratch = values((size_t)(RK_OUTER_ROWS * (M + W)));
    t->outer_sum(rows, am, M, M, bw, W, W, cm, W, scratch);
    for (int m = 0; m < M; m++)
        for (int q = 0; q < W; q++) {
            double s = 0;
            for (int r = 0; r < rows; r++) s += (double)am[r * M + m] * (double)bw[r * W + q];
            worst = fmax(worst, fabs(s - (double)cm[m * W + q]) / sqrt(rows));
        }
    free(a), free(w), free(c), free(start), free(packed), free(am), free(bw), free(cm), free(scratch);
    return worst;
}

int main(void) {
    static const char *const cells[] = {"elman", "lstm", "gru", "gru-reset-before"};
    int bad = 0;
    printf("best: %s\n", rk_best()->name);
    for (int32_t i = 0; rk_table_at(i); i++) {
        const rk_table *t = rk_table_at(i);
        if (!rk_table_usable(i)) {
            printf("%s: compiled in, this processor has it not\n", t->name);
            continue;
        }
        for (int cell = 0; cell < 4; cell++) {
            double worst = 0;
            for (int H = 1; H <= 130; H = H * 2 + 1)
                for (int n = 1; n <= 14; n = n * 2 + 1) worst = fmax(worst, check_cell(t, cell, 1 + H % 5, H, n));
            printf("%s %s: largest error %.3g\n", t->name, cells[cell], worst);
            bad |= !(worst < 2e-6);
        }
        double worst = fmax(check_products(t, 37, 300, 33), fmax(check_products(t, 8, 5, 70), check_products(t, 130, 16, 1)));
        printf("%s products: largest error %.3g\n", t->name, worst);
        bad |= !(worst < 1e-6);
    }
    return bad;
}
