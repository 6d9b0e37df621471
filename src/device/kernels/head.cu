// ---- Scores of a batch's candidates, and the best of them (step/tensors.rs). An item has a slot, its row in `items`
// (ids) and `candidates` (vectors); [queries, all] are the scores of the candidates that the batch shares, then of those
// of each query's history, then of its own.

// Which candidates are no rivals of a query.
struct Rejects {
    const long long* items;
    const long long* targets;
    // [histories, slots] bool: what is a history's own; null: the target alone is.
    const bool* own;
    const long long* history;
    long long slots;
    int some;
};

static __device__ bool rejected(Rejects by, long long query, long long slot) {
    if (by.own) {
        return by.own[by.history[query] * by.slots + slot];
    }
    return by.some && by.items[slot] == by.items[by.targets[query]];
}

static __device__ float product(const float* a, const float* b, int dim) {
    float sum = 0.0f;
    for (int column = LANE; column < dim; column += LANES) {
        sum += a[column] * b[column];
    }
    return across_sum(sum);
}

// The slot of a query's candidate behind the shared ones.
static __device__ long long slot_of(const long long* of_history, const long long* of_query, const long long* history,
                                    int in_history, int in_query, long long query, long long place) {
    return place < in_history ? of_history[history[query] * in_history + place]
                              : of_query[query * in_query + place - in_history];
}

// Says which items are a history's own, `pairs` of (history, slot), in what begins as no.
extern "C" __global__ void croloss_own(const long long* pairs, bool* own, long long count, long long slots) {
    long long at = ELEMENT;
    if (at < count) {
        own[pairs[2 * at] * slots + pairs[2 * at + 1]] = true;
    }
}

// Rejects shared candidates.
extern "C" __global__ void croloss_reject(float* scores, const long long* shared, const long long* items,
                                          const long long* targets, const bool* own, const long long* history,
                                          long long numbers, long long slots, int some, int count, int all) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    Rejects by = {items, targets, own, history, slots, some};
    if (rejected(by, at / count, shared[at % count])) {
        scores[at / count * all + at % count] = NOTHING;
    }
}

// Scores the others; a warp a score.
extern "C" __global__ void croloss_score(const float* vectors, const float* candidates, float* scores,
                                         const long long* of_history, const long long* of_query,
                                         const long long* items, const long long* targets, const bool* own,
                                         const long long* history, long long rows, long long slots, int some, int dim,
                                         int all, int in_history, int in_query) {
    long long row = WARP;
    if (row >= rows) {
        return;
    }
    int others = in_history + in_query;
    long long query = row / others, place = row % others;
    long long slot = slot_of(of_history, of_query, history, in_history, in_query, query, place);
    float score = product(vectors + query * dim, candidates + slot * dim, dim);
    Rejects by = {items, targets, own, history, slots, some};
    if (LANE == 0) {
        scores[query * all + all - others + place] = rejected(by, query, slot) ? NOTHING : score;
    }
}

// The positive's score of each query, and the slots of the candidates at `places` [queries, best]; a warp a query.
extern "C" __global__ void croloss_choose(const float* vectors, const float* candidates, float* positive,
                                          long long* chosen, const long long* places, const long long* shared,
                                          const long long* of_history, const long long* of_query,
                                          const long long* targets, const long long* history, long long queries,
                                          int dim, int best, int count, int in_history, int in_query) {
    long long query = WARP;
    if (query >= queries) {
        return;
    }
    for (long long at = query * best + LANE; at < (query + 1) * best; at += LANES) {
        long long place = places[at];
        chosen[at] = place < count ? shared[place]
                                   : slot_of(of_history, of_query, history, in_history, in_query, query,
                                             place - count);
    }
    float score = product(vectors + query * dim, candidates + targets[query] * dim, dim);
    if (LANE == 0) {
        positive[query] = score;
    }
}

// The gradients of vectors before they are taken times `factor`, and of candidates, which begin at 0, from the slopes of
// the positive [queries] and of the best [queries, best], which have none where the score is −∞. A warp a query.
extern "C" __global__ void croloss_choose_back(const float* vectors, const float* candidates,
                                               const long long* targets, const long long* chosen, const float* scores,
                                               const float* of_positive, const float* of_best, float* of_vectors,
                                               float* of_candidates, long long queries, int dim, int best,
                                               float factor) {
    long long query = WARP;
    if (query >= queries) {
        return;
    }
    long long first = query * best;
    for (int column = LANE; column < dim; column += LANES) {
        float value = vectors[query * dim + column], slope = of_positive[query];
        long long own = targets[query] * dim + column;
        float sum = slope * candidates[own];
        atomicAdd(&of_candidates[own], slope * value);
        for (long long at = first; at < first + best; at++) {
            if (scores[at] == NOTHING) {
                continue;
            }
            slope = of_best[at];
            own = chosen[at] * dim + column;
            sum += slope * candidates[own];
            atomicAdd(&of_candidates[own], slope * value);
        }
        of_vectors[query * dim + column] = factor * sum;
    }
}
