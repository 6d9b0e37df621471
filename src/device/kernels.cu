// What a GPU does in one launch where libtorch's operations take many. Each kernel computes what the tensor ops that
// define it do, in their order; its comment names them. NVRTC compiles this source for the GPU that is there. It keeps
// to what C++ has too, so that it can be run, and tested, without one.

// The element of this thread.
#define ELEMENT ((long long)blockIdx.x * blockDim.x + threadIdx.x)

// ---- Deferred Adam (optim/deferred_tensors.rs): `places` row ids in `ids`, of which one may stand more than once; a
// table [rows, dim], its moments [rows, 2, dim], and in `last` the step that each row's values are those of. Where there
// is a `clock` (optim/clock.rs), the step that is done and Adam's numbers of the next one are read there.

// The first of two launches that bring rows to the present. Of the places of a row one takes it, with the step that it
// was left at, and writes down what its way depends on: G, ε̄, how far its moments decay, and whether an element is
// so near ε that the row is replayed. The others find it in the present.
extern "C" __global__ void croloss_take(const long long* ids, int* last, const double* tails, const float* moments,
                                        int* left, float* ways, long long places, int dim, int now, double beta1,
                                        double beta2, const double* clock) {
    long long place = ELEMENT;
    if (place >= places) {
        return;
    }
    now = clock ? (int)clock[0] : now;
    int then = atomicExch(&last[ids[place]], now);
    left[place] = then;
    if (then == now) {
        return;
    }
    const double* tail = tails + 5 * (long long)then;
    float* way = ways + 5 * place;
    way[0] = (float)tail[0];
    way[1] = (float)tail[1];
    way[2] = (float)pow(beta1, (double)(now - then));
    way[3] = (float)pow(beta2, (double)(now - then));
    float near = (float)tail[2];
    bool replayed = false;
    if (near > 0.0f) {
        const float* m = moments + 2 * ids[place] * dim;
        for (int column = 0; column < dim; column++) {
            replayed = replayed || (m[column] != 0.0f && m[dim + column] < near);
        }
    }
    way[4] = replayed ? 1.0f : 0.0f;
}

// The second: the elements of the rows that were taken.
extern "C" __global__ void croloss_bring(const long long* ids, const int* left, const float* ways, const double* tails,
                                         float* table, float* moments, long long numbers, int dim, int now, int length,
                                         float beta1, float root_beta2, const double* clock) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    now = clock ? (int)clock[0] : now;
    long long place = at / dim;
    int then = left[place];
    if (then == now) {
        return;
    }
    const float* way = ways + 5 * place;
    long long column = at - place * dim;
    float* p = table + ids[place] * dim + column;
    float* m = moments + 2 * ids[place] * dim + column;
    float* v = m + dim;
    float root = sqrtf(*v);
    float far = *m * (way[0] / (root + way[1]));
    if (way[4] > 0.0f) {
        float moment = *m;
        far = 0.0f;
        for (int step = then + 1; step <= now && step <= then + length; step++) {
            const double* own = tails + 5 * (long long)step;
            moment *= beta1;
            root *= root_beta2;
            far += moment * ((float)own[3] / (root + (float)own[4]));
        }
    }
    *p -= far;
    *m *= way[2];
    *v *= way[3];
}

// The first of three launches that move rows by their gradients: every place names its row's one place in the list, and
// the sums begin at 0.
extern "C" __global__ void croloss_begin(const long long* ids, long long* places, float* sums, long long numbers,
                                         int dim) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    sums[at] = 0.0f;
    if (at % dim == 0) {
        places[ids[at / dim]] = at / dim;
    }
}

// The second: at that place the sum is made. Zeros, which all padding has, change no sum, and would wait for each other
// at its one row.
extern "C" __global__ void croloss_add(const long long* ids, const long long* places, const float* values, float* sums,
                                       long long numbers, int dim) {
    long long at = ELEMENT;
    if (at < numbers && values[at] != 0.0f) {
        long long place = at / dim;
        atomicAdd(&sums[places[ids[place]] * dim + (at - place * dim)], values[at]);
    }
}

// The third: Adam's step, `grow1` and `grow2` being 1 − β.
extern "C" __global__ void croloss_move(const long long* ids, const long long* places, const float* sums, float* table,
                                        float* moments, int* last, long long numbers, int dim, int now, float grow1,
                                        float beta2, float grow2, float rate, float epsilon, const double* clock) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    long long place = at / dim;
    long long row = ids[place];
    if (places[row] != place) {
        return;
    }
    if (clock) {
        now = (int)clock[0] + 1;
        rate = (float)clock[1];
        epsilon = (float)clock[2];
    }
    long long column = at - place * dim;
    float g = sums[at];
    float* m = moments + 2 * row * dim + column;
    float* v = m + dim;
    *m = fmaf(grow1, g - *m, *m);
    *v = *v * beta2 + g * g * grow2;
    table[row * dim + column] -= *m * rate / (sqrtf(*v) + epsilon);
    if (column == 0) {
        last[row] = now;
    }
}

// ---- Dense Adam (optim/adam.rs), of as many numbers each; `grow1` and `grow2` are 1 − β, `clock` as above.
extern "C" __global__ void croloss_adam(const float* gradient, float* parameter, float* first, float* second,
                                        long long numbers, float grow1, float beta2, float grow2, float rate,
                                        float epsilon, const double* clock) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    if (clock) {
        rate = (float)clock[1];
        epsilon = (float)clock[2];
    }
    float g = gradient[at];
    float m = fmaf(grow1, g - first[at], first[at]);
    float v = second[at] * beta2 + g * (g * grow2);
    first[at] = m;
    second[at] = v;
    parameter[at] -= m * (rate / (sqrtf(v) + epsilon));
}

// ---- Unit length (model/scoring.rs), of rows [rows, dim].

// v / √(|v|² + ε), and the inverse length of each row.
extern "C" __global__ void croloss_unit(const float* v, float* unit, float* inverse, long long numbers, int dim,
                                        float epsilon) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    const float* row = v + at / dim * dim;
    float square = 0.0f;
    for (int column = 0; column < dim; column++) {
        square += row[column] * row[column];
    }
    float own = 1.0f / sqrtf(square + epsilon);
    unit[at] = v[at] * own;
    if (at % dim == 0) {
        inverse[at / dim] = own;
    }
}

// Its gradient, as autograd takes it.
extern "C" __global__ void croloss_unit_back(const float* v, const float* inverse, const float* gradient, float* back,
                                             long long numbers, int dim) {
    long long at = ELEMENT;
    if (at >= numbers) {
        return;
    }
    long long first = at / dim * dim;
    float own = inverse[at / dim];
    float along = 0.0f;
    for (int column = 0; column < dim; column++) {
        along += gradient[first + column] * v[first + column];
    }
    back[at] = gradient[at] * own + -0.5f * along * (own * own * own) * (2.0f * v[at]);
}
