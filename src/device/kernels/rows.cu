// ---- What the kernels of rows share: a warp takes a row, its lanes every 32nd number of it.

#define LANES 32
#define LANE ((int)(threadIdx.x % LANES))
#define WARP (ELEMENT / LANES)

// −∞, the score of what does not count; C++ and CUDA C have no one name for it.
#define NOTHING logf(0.0f)

// The sum of what the lanes have, on each of them.
static __device__ float across_sum(float value) {
    for (int step = LANES / 2; step > 0; step /= 2) {
        value += __shfl_xor_sync(0xffffffffu, value, step);
    }
    return value;
}

// The largest of it; no number where one is none.
static __device__ float across_most(float value) {
    for (int step = LANES / 2; step > 0; step /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, value, step);
        value = value >= other || value != value ? value : other;
    }
    return value;
}

// What dropout leaves of number `at`: zero of a share of `least` in 2³², which ones `seed` says (splitmix64), and
// `kept` times the others. At a share of 0 `kept` is 1.
static __device__ float left_of(float value, long long seed, long long at, unsigned least, float kept) {
    unsigned long long x = (unsigned long long)seed + ((unsigned long long)at + 1) * 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return (unsigned)((x ^ (x >> 31)) >> 32) >= least ? value * kept : 0.0f;
}
