// ---- Ranks (eval/rank.rs): how many items score at least as high as a target. Vectors stand across, a row a
// dimension, filled up by columns of zeros: users [dim, people], items [dim, width]. A score is the sum of products in
// order of rising dimension, each of them by fmaf, wherever it is taken: so a tie is a tie, as in host/ranking.rs.

// Users that a warp scores, and items that each of its lanes does.
#define USERS 16
#define ITEMS 4

struct alignas(16) Four {
    float x, y, z, w;
};

static __device__ Four four(const float* at) {
    return *(const Four*)at;
}

static __device__ void add_products(float* sums, float user, Four items) {
    sums[0] = fmaf(user, items.x, sums[0]);
    sums[1] = fmaf(user, items.y, sums[1]);
    sums[2] = fmaf(user, items.z, sums[2]);
    sums[3] = fmaf(user, items.w, sums[3]);
}

static __device__ float score(const float* users, const float* items, const long long* pair, long long people,
                              long long width, int dim) {
    float sum = 0.0f;
    for (int column = 0; column < dim; column++) {
        sum = fmaf(users[column * people + pair[0]], items[column * width + pair[1]], sum);
    }
    return sum;
}

// Items across, brought to unit length where `unit`; a thread an item, and one for each column that fills up.
extern "C" __global__ void croloss_across(const float* rows, float* across, long long width, long long count, int dim,
                                          int unit, float epsilon) {
    long long at = ELEMENT;
    if (at >= width) {
        return;
    }
    const float* row = rows + at * dim;
    float square = 0.0f;
    for (int column = 0; unit && at < count && column < dim; column++) {
        square += row[column] * row[column];
    }
    float factor = unit ? 1.0f / sqrtf(square + epsilon) : 1.0f;
    for (int column = 0; column < dim; column++) {
        across[column * width + at] = at < count ? row[column] * factor : 0.0f;
    }
}

// What targets score with what they gain, `pairs` of (user, item).
extern "C" __global__ void croloss_targets(const float* users, const float* items, const long long* pairs,
                                           const float* gains, float* own, long long targets, long long people,
                                           long long width, int dim) {
    long long at = ELEMENT;
    if (at < targets) {
        own[at] = score(users, items, pairs + 2 * at, people, width, dim) + gains[at];
    }
}

// Adds to `counts` of targets how many items reach their score, none of which gains anything; the targets of user u are
// those from first[u] to first[u + 1]. A warp takes 16 users and 128 items; the next one the same items for the next
// users, so that they are in the cache.
extern "C" __global__ void croloss_reach(const float* users, const float* items, const float* own,
                                         const long long* first, int* counts, long long warps, long long people,
                                         long long width, long long count, int dim) {
    long long warp = WARP;
    if (warp >= warps) {
        return;
    }
    long long groups = people / USERS;
    long long user = warp % groups * USERS;
    long long item = (warp / groups * LANES + LANE) * ITEMS;
    float sums[USERS][ITEMS];
#pragma unroll
    for (int at = 0; at < USERS * ITEMS; at++) {
        sums[at / ITEMS][at % ITEMS] = 0.0f;
    }
    for (int column = 0; column < dim; column++) {
        Four vectors = four(items + column * width + item);
#pragma unroll
        for (int at = 0; at < USERS; at += 4) {
            Four some = four(users + column * people + user + at);
            add_products(sums[at], some.x, vectors);
            add_products(sums[at + 1], some.y, vectors);
            add_products(sums[at + 2], some.z, vectors);
            add_products(sums[at + 3], some.w, vectors);
        }
    }
#pragma unroll
    for (int at = 0; at < USERS; at++) {
        for (long long target = first[user + at]; target < first[user + at + 1]; target++) {
            int reached = 0;
#pragma unroll
            for (int place = 0; place < ITEMS; place++) {
                bool there = item + place < count && sums[at][place] >= own[target];
                reached += __popc(__ballot_sync(0xffffffffu, there));
            }
            if (LANE == 0 && reached > 0) {
                atomicAdd(&counts[target], reached);
            }
        }
    }
}

// Mends the counts by items whose scores are others than that, `pairs` of (user, item): they gain a number; −∞ where
// they are left out.
extern "C" __global__ void croloss_mend(const float* users, const float* items, const long long* pairs,
                                        const float* gains, const float* own, const long long* first, int* counts,
                                        long long others, long long people, long long width, int dim) {
    long long at = ELEMENT;
    if (at >= others) {
        return;
    }
    float before = score(users, items, pairs + 2 * at, people, width, dim);
    float after = before + gains[at];
    long long user = pairs[2 * at];
    for (long long target = first[user]; target < first[user + 1]; target++) {
        int more = (after >= own[target]) - (before >= own[target]);
        if (more != 0) {
            atomicAdd(&counts[target], more);
        }
    }
}
