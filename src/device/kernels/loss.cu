// ---- Losses of rows (loss/rows.rs): a query's positive [queries] and its negatives [queries, n], −∞ where one does not
// count. A row's loss depends on its scores through sums of kernels φ of gaps, or of exponentials; the slope of a
// negative is a factor of the row times φ′.

// A kernel φ, as Kernel::apply defines it, and its slope.
struct Phi {
    float value;
    float slope;
};

#define KNEE 30.0f
#define FLOOR 1e-30f

// e^t, a straight line above the knee.
static __device__ Phi exponential(float t) {
    float slope = expf(t < KNEE || t != t ? t : KNEE);
    return {slope * ((t > KNEE ? t - KNEE : 0.0f) + 1.0f), slope};
}

static __device__ float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

// ln(1 + e^x).
static __device__ float softplus(float x) {
    return (x < 0.0f ? 0.0f : x) + log1pf(expf(x < 0.0f ? x : -x));
}

// max(0, base)^width, where width·base has the slope `rise`.
static __device__ Phi power(float base, float rise, float width) {
    if (base <= FLOOR) {
        return {0.0f, 0.0f};
    }
    Phi own = exponential(logf(base) * width);
    return {own.value, own.slope * rise / base};
}

// The order of the kernels is that of config::Kernel.
static __device__ Phi phi(int kernel, float gap, float shape) {
    if (gap == NOTHING) {
        return {0.0f, 0.0f};
    }
    if (kernel == 0) {
        return {gap > 0.0f ? 1.0f : 0.0f, 0.0f};
    }
    if (kernel == 1) {
        float own = sigmoid(gap);
        return {own, own * sigmoid(-gap)};
    }
    if (kernel == 2) {
        float above = gap + shape;
        return {above <= 0.0f ? 0.0f : above, above > 0.0f ? 1.0f : 0.0f};
    }
    if (kernel == 3) {
        return exponential(gap);
    }
    if (kernel == 4) {
        return {softplus(gap), sigmoid(gap)};
    }
    if (kernel == 5) {
        float x = gap * (2.0f / shape);
        Phi own = exponential((0.693147180559945f - softplus(-x)) * shape);
        return {own.value, own.slope * 2.0f * sigmoid(-x)};
    }
    float x = gap / shape;
    return kernel == 6 ? power(atanf(x) + 1.0f, 1.0f / (1.0f + x * x), shape) : power(x + 1.0f, 1.0f, shape);
}

// What a row comes to by a sum of φ over its gaps: `way` 0, the mean of φ, `each` of it the share of a gap; 1, W_α of the
// rank that φ counts; 2, by the Lambda method, W_α′ of the rank that φ₁ counts times that of φ. `scaled` is N/M where the
// rank is (N/M)·Σφ, and 0 where it is 1 + Σφ; `e` is 1 − α, `log_factor` and `norm` as loss::Weighting has them.
extern "C" __global__ void croloss_ranks(const float* positive, const float* negative, float* loss, float* of_positive,
                                         float* of_negative, long long queries, long long count, int way, int counting,
                                         int driving, float shape1, float shape2, float each, float scaled, float e,
                                         float log_factor, float norm, float share) {
    long long query = WARP;
    if (query >= queries) {
        return;
    }
    const float* scores = negative + query * count;
    float own = positive[query], sum = 0.0f, counted = 0.0f;
    for (long long at = LANE; at < count; at += LANES) {
        sum += phi(driving, scores[at] - own, shape2).value;
        counted += way == 2 ? phi(counting, scores[at] - own, shape1).value : 0.0f;
    }
    sum = across_sum(sum);
    counted = across_sum(counted);
    float rise = scaled > 0.0f ? scaled : 1.0f;
    float value = each * sum, factor = each;
    if (way == 1) {
        float log = log1pf(rise * sum), base = 1.0f + rise * sum;
        value = share * (e == 0.0f ? log : expm1f((log + log_factor) * e) * norm);
        factor = share * (e == 0.0f ? rise / base : e * expf((log + log_factor) * e) * norm * rise / base);
    }
    if (way == 2) {
        float log = log1pf(rise * counted);
        float lambda = e == 0.0f ? expf(-log) : expf((log + log_factor) * (e - 1.0f)) * (e * norm);
        value = share * lambda * (scaled > 0.0f ? rise * sum : 1.0f + sum);
        factor = share * lambda * rise;
    }
    float slopes = 0.0f;
    for (long long at = LANE; at < count; at += LANES) {
        float slope = phi(driving, scores[at] - own, shape2).slope;
        of_negative[query * count + at] = factor * slope;
        slopes += slope;
    }
    slopes = across_sum(slopes);
    if (LANE == 0) {
        loss[query] = value;
        of_positive[query] = -factor * slopes;
    }
}

// Softmax cross-entropy, of negatives less `log_counts` [queries, n] where those are not null; `corrected` as
// LogQ::Corrected.
extern "C" __global__ void croloss_softmax(const float* positive, const float* negative, const float* log_counts,
                                           float* loss, float* of_positive, float* of_negative, long long queries,
                                           long long count, int corrected, float share) {
    long long query = WARP;
    if (query >= queries) {
        return;
    }
    long long first = query * count;
    float own = positive[query], most = NOTHING, sum = 0.0f;
    for (long long at = first + LANE; at < first + count; at += LANES) {
        float score = negative[at] - (log_counts ? log_counts[at] : 0.0f);
        most = most >= score ? most : score;
    }
    most = across_most(most);
    // A row without rivals has a highest score as well.
    float top = most > own ? most : own;
    float shift = corrected && most > NOTHING ? most : top;
    for (long long at = first + LANE; at < first + count; at += LANES) {
        sum += expf(negative[at] - (log_counts ? log_counts[at] : 0.0f) - shift);
    }
    sum = across_sum(sum);
    // ln Σ over the rivals, and with the positive.
    float rivals = shift + logf(sum);
    float all = top + logf(expf(own - top) + sum * expf(shift - top));
    float weight = corrected ? 1.0f - expf(own - all) : 1.0f;
    float value = corrected ? weight * ((rivals < -1e4f ? -1e4f : rivals) - own) : all - own;
    float lowered = corrected ? rivals : all;
    bool counts = !corrected || rivals >= -1e4f;
    float slopes = 0.0f;
    for (long long at = first + LANE; at < first + count; at += LANES) {
        float score = negative[at] - (log_counts ? log_counts[at] : 0.0f);
        float slope = score == NOTHING || !counts ? 0.0f : share * weight * expf(score - lowered);
        of_negative[at] = slope;
        slopes += slope;
    }
    slopes = across_sum(slopes);
    if (LANE == 0) {
        loss[query] = share * value;
        of_positive[query] = corrected ? -share * weight : -slopes;
    }
}
