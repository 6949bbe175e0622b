/* Forward and backward kernels of recurrent cells, float32, one template compiled per instruction set.
 *
 * Aims, in order: the same bits whatever the batch; correct against a double-precision reference; fast.
 * Every gate is one chain acc = bias; acc += w[k] * x[k] for k = 0, 1, ... (input part, then recurrent part, which takes pairs of
 * hidden units at once in layers with `pairs`), every dense output a fixed few of them, so neither the number of streams in a call nor
 * their neighbours can change a result.
 *
 * Legend (used in all comments below)
 *   B  streams in a call            I  inputs of a layer         H  hidden units
 *   Hp H rounded up to RK_ROUND     G  gate rows: 1 Elman, 4 LSTM (i,f,g,o), 3 GRU (r,z,n)
 *   A  accumulators of a unit: 1 Elman, 4 LSTM, 4 GRU (r, z, n from the input, n from the state)
 *   V  lanes of the instruction set (4, 8 or 16)                 O  outputs of the readout
 *
 * Row layout of state: contiguous per stream, for each layer h[Hp] and, for LSTM, c[Hp]; lanes H..<Hp are padding.
 */
#ifndef RECURRENT_KERNELS_H
#define RECURRENT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Rows of hidden state, gates and gradients are padded to this many floats (a cache line, the widest vector). */
#define RK_ROUND 16
/* Most layers of one network. */
#define RK_LAYERS_MAX 8
/* Most hidden units of a layer (bounds the stack scratch of a step). */
#define RK_HIDDEN_MAX 4096
/* Largest weight of the state in a layer with products by pairs. */
#define RK_PAIR_WEIGHT 2.0f
/* Most dense layers of one network, and most outputs of one that is not the last. */
#define RK_DENSE_MAX 5
#define RK_DENSE_WIDTH_MAX 4096
/* A dense layer of so few outputs (at most 4, the narrowest vector) is packed row by row as well. */
#define RK_FEW 4
/* Rows that outer_sum packs at a time: 120 * 6 floats are an odd number of cache lines, so that tiles do not fight for cache sets. */
#define RK_OUTER_ROWS 120

enum { RK_ELMAN = 0, RK_LSTM = 1, RK_GRU = 2, RK_GRU_RESET_BEFORE = 3 };
enum { RK_LINEAR = 0, RK_TANH = 1, RK_SIGMOID = 2, RK_RELU = 3, RK_HARD_SIGMOID = 4 };

/* One recurrent layer; `packed` comes from rk_pack_layer with the lanes of the table it is used with. */
typedef struct rk_layer {
    int32_t cell, inputs, hidden;
    int32_t gate_activation, candidate_activation, output_activation;
    float hard_slope, hard_offset; /* hard sigmoid: clamp(slope * x + offset, 0, 1) */
    int32_t pairs;                 /* hidden units 0..<pairs and pairs..<2*pairs are multiplied as pairs; from rk_layer_pairs, or 0 */
    const float *packed;
} rk_layer;

/* A dense layer: out[N] = activation(bias[N] + sum_k x[k] w[k][N]). */
typedef struct rk_dense {
    int32_t inputs, outputs, activation;
    float hard_slope, hard_offset;
    const float *packed;
} rk_dense;

/* A stack of layers with a head of dense layers (dense_count == 0: none, outputs are the last hidden state). */
typedef struct rk_network {
    int32_t layers, dense_count;
    int32_t hidden_offset[RK_LAYERS_MAX], cell_offset[RK_LAYERS_MAX]; /* floats into a state row */
    rk_layer layer[RK_LAYERS_MAX];
    rk_dense dense[RK_DENSE_MAX];
} rk_network;

/* What one backward step of one layer reads and writes, all rows [B][..]; stride in floats per stream. */
typedef struct rk_backward_rows {
    const float *dh;      /* [B][Hp] dL/dh of this step, complete */
    float *dc;            /* [B][Hp] LSTM: in dL/dc carried from the later step, out the one for the earlier step */
    const float *tape;    /* [B][A*Hp] as written by step */
    const float *h_before; /* [B][Hp] */
    const float *h_after;  /* [B][Hp] */
    const float *c_before; /* [B][Hp] LSTM */
    const float *c_after;  /* [B][Hp] LSTM */
    float *dg;            /* out [B][A*Hp] dL/d(preactivation): Elman 1, LSTM i,f,g,o, GRU n from the input, r, z, n from the state
                             (so that the first three meet weight_ih, the last three weight_hh); may be the tape itself */
    float *dh_before;     /* [B][Hp] the part of dL/dh of the earlier step that does not pass the weights is added */
} rk_backward_rows;

typedef struct rk_table {
    const char *name;
    int32_t lanes, paired; /* paired: 1 if layers packed for this table should be so (rk_layer_pairs) */
    /* One step of one layer for n streams; h_in == h_out and c_in == c_out are allowed.
     * tape: NULL, or rows of tape_stride floats that take the A*Hp activated gates. */
    void (*layer_step)(const rk_layer *layer, int32_t n, const float *const *x, const float *const *h_in, float *const *h_out,
                       const float *const *c_in, float *const *c_out, float *tape, ptrdiff_t tape_stride);
    /* out[i][0..<outputs] for n rows. */
    void (*dense)(const rk_dense *dense, int32_t n, const float *const *x, float *const *out);
    /* Elementwise backward of one step for n streams. */
    void (*layer_backward)(const rk_layer *layer, int32_t n, const rk_backward_rows *rows);
    /* C[m][q] += sum_r A[r*lda + m] * B[r*ldb + q], m < M, q < N (N a multiple of RK_ROUND). scratch: RK_OUTER_ROWS * (M + N) floats. */
    void (*outer_sum)(int32_t rows, const float *a, ptrdiff_t lda, int32_t M, const float *b, ptrdiff_t ldb, int32_t N, float *c,
                      ptrdiff_t ldc, float *scratch);
    /* c[i][m] += sum_r A[r*lda + m] * x[r*ldx + i], i < I (few), m < M (a multiple of RK_ROUND); sums[m] += sum_r A[r*lda + m]. */
    void (*thin_sum)(int32_t rows, const float *a, ptrdiff_t lda, int32_t M, const float *x, ptrdiff_t ldx, int32_t I, float *c,
                     ptrdiff_t ldc, float *sums);
    /* C[r][q] += sum_k A[r*lda + k] w[k][q], q < N, w packed by rk_pack_dense with K inputs and N outputs (its bias does not count). */
    void (*gemm)(int32_t rows, const float *a, ptrdiff_t lda, int32_t K, const float *packed, int32_t N, float *c, ptrdiff_t ldc);
    /* y = activation(x), for accuracy tests. */
    void (*activate)(int32_t kind, float slope, float offset, size_t n, const float *x, float *y);
} rk_table;

/* Floats of padding-aware sizes. */
static inline int32_t rk_round(int32_t n) { return (n + RK_ROUND - 1) / RK_ROUND * RK_ROUND; }
int32_t rk_gates(int32_t cell);
int32_t rk_accumulators(int32_t cell);

/* The table for this processor (chosen once), and the tables compiled in: index 0.. until NULL; usable tells if the CPU has it. */
const rk_table *rk_best(void);
const rk_table *rk_table_at(int32_t index);
int32_t rk_table_usable(int32_t index);

/* 1 if every activation of the layer is the usual one: sigmoid gates, tanh elsewhere. */
static inline int32_t rk_plain(const rk_layer *layer) {
    return layer->gate_activation == RK_SIGMOID && layer->candidate_activation == RK_TANH && layer->output_activation == RK_TANH;
}
/* How many pairs of hidden units `table` should multiply as pairs, 0 if none: states must be bounded by tanh and no weight of the state
 * larger than RK_PAIR_WEIGHT, so that a product by pairs rounds like a plain one. w_hh [G*H][H]. */
int32_t rk_layer_pairs(const rk_table *table, const rk_layer *layer, const float *w_hh);

/* Packing. pairs as in rk_layer. w_ih [G*H][I], w_hh [G*H][H] (PyTorch's rows), bias [A][H] in accumulator order. Sizes in floats. */
size_t rk_layer_pack_size(int32_t cell, int32_t inputs, int32_t hidden, int32_t lanes);
void rk_pack_layer(int32_t cell, int32_t inputs, int32_t hidden, int32_t pairs, int32_t lanes, const float *w_ih, const float *w_hh,
                   const float *bias, float *out);
/* w(k, q) = w[k*k_stride + q*q_stride], k < inputs, q < outputs; bias NULL means 0. */
size_t rk_dense_pack_size(int32_t inputs, int32_t outputs, int32_t lanes);
void rk_pack_dense(int32_t inputs, int32_t outputs, int32_t lanes, const float *w, ptrdiff_t k_stride, ptrdiff_t q_stride,
                   const float *bias, float *out);

/* One step of the whole network for n streams.
 * x row i at x + i*x_stride; state row of stream i at state + (rows ? rows[i] : i)*state_stride; out row i at out + i*out_stride.
 * rows must not repeat a row. out may be NULL. */
void rk_network_step(const rk_table *table, const rk_network *network, size_t n, const float *x, ptrdiff_t x_stride, float *state,
                     ptrdiff_t state_stride, const uint32_t *rows, float *out, ptrdiff_t out_stride);
/* `steps` steps; x of step t at x + t*x_step, likewise out. */
void rk_network_run(const rk_table *table, const rk_network *network, size_t n, size_t steps, const float *x, ptrdiff_t x_stride,
                    ptrdiff_t x_step, float *state, ptrdiff_t state_stride, const uint32_t *rows, float *out, ptrdiff_t out_stride,
                    ptrdiff_t out_step);

/* layer_step for n rows with constant strides (floats per stream): training. c may be NULL. */
void rk_layer_rows(const rk_table *table, const rk_layer *layer, int32_t n, const float *x, ptrdiff_t x_stride, const float *h_in,
                   float *h_out, const float *c_in, float *c_out, ptrdiff_t stride, float *tape, ptrdiff_t tape_stride);
/* dense for n rows with constant strides. */
void rk_dense_rows(const rk_table *table, const rk_dense *dense, int32_t n, const float *x, ptrdiff_t x_stride, float *out,
                   ptrdiff_t out_stride);
/* out[m] += sum_r a[r*lda + m] */
void rk_column_sum(int32_t rows, const float *a, ptrdiff_t lda, int32_t M, float *out);
/* The index of the first value that is NaN or infinite, or n. */
size_t rk_first_not_finite(const float *x, size_t n);
/* Sum of squares in double. */
double rk_square_sum(const float *x, size_t n);
/* g *= s */
void rk_scale(float *g, size_t n, float s);
/* Adam (Kingma and Ba 2015, as torch.optim.Adam writes it): step counts from 1. */
void rk_adam(float *w, const float *g, float *m, float *v, size_t n, double rate, double beta1, double beta2, double epsilon,
             double weight_decay, int64_t step);
/* W <- W - rate (dL/dW + weight_decay W), with momentum buffer m (NULL: none; first: buffer starts as the gradient). */
void rk_sgd(float *w, const float *g, float *m, size_t n, double rate, double momentum, double weight_decay, int32_t first);
/* A cell in plain scalar C with libm, the slow side of benchmark ratios: same arguments as the unpacked layer. */
void rk_naive_step(int32_t cell, int32_t relu, int32_t inputs, int32_t hidden, const float *w_ih, const float *w_hh, const float *bias,
                   const float *x, float *h, float *c, float *scratch);

#endif
