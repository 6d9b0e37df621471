// ---- The Transformer between its matrix products (model/transformer.rs). Packed positions stand one behind the other;
// `position` [histories · longest] names the one at each place of the padded form, and `place` the other way round;
// both are null where positions are padded.

// drop(rows·factor + positions[history − 1 − from_end]).
extern "C" __global__ void croloss_embed(const float* rows, const float* positions, const long long* from_end,
                                         float* out, long long numbers, int dim, int history, float factor,
                                         long long seed, unsigned least, float kept) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    long long own = (history - 1 - from_end[at / dim]) * dim + at % dim;
    out[at] = left_of(rows[at] * factor + positions[own], seed, at, least, kept);
}

// Its gradients; that of the positions begins at 0.
extern "C" __global__ void croloss_embed_back(const float* gradient, const long long* from_end, float* of_rows,
                                              float* of_positions, long long numbers, int dim, int history,
                                              float factor, long long seed, unsigned least, float kept) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    float own = left_of(gradient[at], seed, at, least, kept);
    of_rows[at] = own * factor;
    atomicAdd(&of_positions[(history - 1 - from_end[at / dim]) * dim + at % dim], own);
}

// drop(max(x, 0)).
extern "C" __global__ void croloss_relu(const float* x, float* out, long long numbers, long long seed, unsigned least,
                                        float kept) {
    long long at = ELEMENT;
    if (at < numbers) {
        out[at] = x[at] <= 0.0f ? 0.0f : left_of(x[at], seed, at, least, kept);
    }
}

// Its gradient, from what it gave.
extern "C" __global__ void croloss_relu_back(const float* out, const float* gradient, float* back, long long numbers,
                                             float kept) {
    long long at = ELEMENT;
    if (at < numbers) {
        back[at] = out[at] <= 0.0f ? 0.0f : gradient[at] * kept;
    }
}

// sum = x + drop(added), where something is added, and that at mean 0 and variance 1, times the weights, plus the
// biases; a warp a row.
extern "C" __global__ void croloss_norm(const float* x, const float* added, const float* weight, const float* bias,
                                        float* sum, float* out, float* means, float* inverse, long long rows, int dim,
                                        float epsilon, long long seed, unsigned least, float kept) {
    long long row = WARP;
    if (row >= rows) {
        return;
    }
    long long first = row * dim;
    const float* from = added ? sum : x;
    float total = 0.0f;
    for (int column = LANE; column < dim; column += LANES) {
        long long at = first + column;
        if (added) {
            sum[at] = x[at] + left_of(added[at], seed, at, least, kept);
        }
        total += from[at];
    }
    float mean = across_sum(total) / dim;
    float square = 0.0f;
    for (int column = LANE; column < dim; column += LANES) {
        float apart = from[first + column] - mean;
        square += apart * apart;
    }
    float own = 1.0f / sqrtf(across_sum(square) / dim + epsilon);
    for (int column = LANE; column < dim; column += LANES) {
        out[first + column] = (from[first + column] - mean) * own * weight[column] + bias[column];
    }
    if (LANE == 0) {
        means[row] = mean;
        inverse[row] = own;
    }
}

// The first of two launches back: the gradients of x and, where there is such, of what was added; `of_sum` may be null.
// The sums of the second begin at 0.
extern "C" __global__ void croloss_norm_back(const float* from, const float* means, const float* inverse,
                                             const float* weight, const float* of_out, const float* of_sum,
                                             float* of_x, float* of_added, float* columns, long long rows, int dim,
                                             long long seed, unsigned least, float kept) {
    long long row = WARP;
    if (row >= rows) {
        return;
    }
    long long first = row * dim;
    float mean = means[row], own = inverse[row];
    float plain = 0.0f, along = 0.0f;
    for (int column = LANE; column < dim; column += LANES) {
        float slope = of_out[first + column] * weight[column];
        plain += slope;
        along += slope * (from[first + column] - mean) * own;
    }
    plain = across_sum(plain) / dim;
    along = across_sum(along) / dim;
    for (int column = LANE; column < dim; column += LANES) {
        long long at = first + column;
        float slope = own * (of_out[at] * weight[column] - plain - (from[at] - mean) * own * along);
        slope += of_sum ? of_sum[at] : 0.0f;
        of_x[at] = slope;
        if (of_added) {
            of_added[at] = left_of(slope, seed, at, least, kept);
        }
        if (row == 0) {
            columns[column] = columns[dim + column] = 0.0f;
        }
    }
}

// The second: the gradients of weights and biases, `columns` [2, dim]; a thread for a column of 32 rows.
extern "C" __global__ void croloss_norm_columns(const float* from, const float* means, const float* inverse,
                                                const float* of_out, float* columns, long long numbers,
                                                long long rows, int dim) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    int column = (int)(at % dim);
    long long row = at / dim * 32, end = row + 32 < rows ? row + 32 : rows;
    float of_weight = 0.0f, of_bias = 0.0f;
    for (; row < end; row++) {
        float slope = of_out[row * dim + column];
        of_weight += slope * (from[row * dim + column] - means[row]) * inverse[row];
        of_bias += slope;
    }
    atomicAdd(&columns[column], of_weight);
    atomicAdd(&columns[dim + column], of_bias);
}

// What attention multiplies: of [positions, 3·heads·each] queries (times `factor`), keys and values [3, histories,
// heads, longest, each]. What stands at places of padding has no meaning.
extern "C" __global__ void croloss_split(const float* together, const long long* position, float* apart,
                                         long long numbers, long long histories, int heads, int longest, int each,
                                         float factor) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    long long rest = at / each, column = at % each;
    long long step = rest % longest;
    rest /= longest;
    long long head = rest % heads;
    rest /= heads;
    long long part = rest / histories, own = rest % histories * longest + step;
    own = position ? position[own] : own;
    float value = together[(own * 3 + part) * heads * each + head * each + column];
    apart[at] = part == 0 ? value * factor : value;
}

// Its gradient.
extern "C" __global__ void croloss_split_back(const float* apart, const long long* place, float* together,
                                              long long numbers, long long histories, int heads, int longest, int each,
                                              float factor) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    long long rest = at / each, column = at % each;
    long long head = rest % heads;
    rest /= heads;
    long long part = rest % 3, own = rest / 3;
    own = place ? place[own] : own;
    long long history = own / longest, step = own % longest;
    float value = apart[((((part * histories + history) * heads + head) * longest) + step) * each + column];
    together[at] = part == 0 ? value * factor : value;
}

// What attention gives: of [histories, heads, longest, each] that of positions, [positions, heads·each].
extern "C" __global__ void croloss_merge(const float* seen, const long long* place, float* out, long long numbers,
                                         int heads, int longest, int each) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    long long rest = at / each, head = rest % heads, own = rest / heads;
    own = place ? place[own] : own;
    out[at] = seen[((own / longest * heads + head) * longest + own % longest) * each + at % each];
}

// Its gradient: 0 for padding.
extern "C" __global__ void croloss_merge_back(const float* gradient, const long long* position, const long long* place,
                                              float* back, long long numbers, int heads, int longest, int each) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    long long rest = at / each, step = rest % longest;
    rest /= longest;
    long long head = rest % heads, padded = rest / heads * longest + step;
    long long own = position ? position[padded] : padded;
    bool real = !position || place[own] == padded;
    back[at] = real ? gradient[(own * heads + head) * each + at % each] : 0.0f;
}

// The softmax of what each position sees, itself and what came before it, in place of scores [rows, longest]; and what
// dropout leaves of it, where that has a place of its own. A warp a row.
extern "C" __global__ void croloss_attend(float* scores, float* left, long long rows, int longest, long long seed,
                                          unsigned least, float kept) {
    long long row = WARP;
    if (row >= rows) {
        return;
    }
    float* own = scores + row * longest;
    int seen = (int)(row % longest) + 1;
    float most = NOTHING;
    for (int column = LANE; column < seen; column += LANES) {
        most = most >= own[column] ? most : own[column];
    }
    most = across_most(most);
    float sum = 0.0f;
    for (int column = LANE; column < seen; column += LANES) {
        sum += expf(own[column] - most);
    }
    sum = across_sum(sum);
    for (int column = LANE; column < longest; column += LANES) {
        float weight = column < seen ? expf(own[column] - most) / sum : 0.0f;
        own[column] = weight;
        if (left) {
            left[row * longest + column] = left_of(weight, seed, row * longest + column, least, kept);
        }
    }
}

// The gradient of the scores, in place of that of what dropout leaves.
extern "C" __global__ void croloss_attend_back(const float* weights, float* gradient, long long rows, int longest,
                                               long long seed, unsigned least, float kept) {
    long long row = WARP;
    if (row >= rows) {
        return;
    }
    long long first = row * longest;
    int seen = (int)(row % longest) + 1;
    float along = 0.0f;
    for (int column = LANE; column < seen; column += LANES) {
        along += weights[first + column] * left_of(gradient[first + column], seed, first + column, least, kept);
    }
    along = across_sum(along);
    for (int column = LANE; column < longest; column += LANES) {
        long long at = first + column;
        float slope = left_of(gradient[at], seed, at, least, kept);
        gradient[at] = column < seen ? weights[at] * (slope - along) : 0.0f;
    }
}
