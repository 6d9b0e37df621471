// What CUDA C has beside C++, as far as the kernels use it, and how one of them is run: the text stands before a source.
//
// Threads run one after the other. Where a kernel lets the lanes of a warp exchange numbers, each lane has a stack of
// its own and runs until it hands a number over; then it is the next one's turn. A warp of which some lanes end while
// others exchange ends the process: on a GPU that is undefined.
#pragma once

constexpr const char* PRELUDE = R"(
#undef _FORTIFY_SOURCE
#include <setjmp.h>
#include <ucontext.h>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <tuple>
#include <type_traits>
#include <utility>
#define __global__
#define __device__
struct Place { unsigned x; };
static thread_local Place blockIdx, blockDim, threadIdx;
static int atomicExch(int* at, int value) { return std::exchange(*at, value); }
template <class T>
static T atomicAdd(T* at, T value) { return std::exchange(*at, *at + value); }
static int __popc(unsigned bits) { return __builtin_popcount(bits); }

struct Warp {
    static constexpr int LANES_OF_WARP = 32;
    static constexpr size_t STACK = 1 << 16;
    jmp_buf host, lanes[LANES_OF_WARP];
    ucontext_t start[LANES_OF_WARP];
    char* stacks = nullptr;
    bool begun[LANES_OF_WARP] = {}, busy[LANES_OF_WARP];
    // Numbers on their way, those of one turn and of the next.
    float boxes[2][LANES_OF_WARP];
    int turns[LANES_OF_WARP];
    int lane;
    void (*work)(void*);
    void* with;
};
static thread_local Warp warp;
static void hand_over() {
    if (_setjmp(warp.lanes[warp.lane]) == 0) _longjmp(warp.host, 1);
}
static void live() {
    for (;;) {
        warp.work(warp.with);
        warp.busy[warp.lane] = false;
        hand_over();
    }
}
// What every lane hands over.
static const float* exchanged(float value) {
    int own = warp.lane;
    float* box = warp.boxes[warp.turns[own]++ % 2];
    box[own] = value;
    hand_over();
    return box;
}
static float __shfl_xor_sync(unsigned, float value, int with) {
    int own = warp.lane;
    return exchanged(value)[own ^ with];
}
static unsigned __ballot_sync(unsigned, bool value) {
    const float* box = exchanged(value ? 1.0f : 0.0f);
    unsigned bits = 0;
    for (int lane = 0; lane < Warp::LANES_OF_WARP; lane++) bits |= unsigned(box[lane] != 0.0f) << lane;
    return bits;
}
static void resume(int lane) {
    warp.lane = lane;
    if (_setjmp(warp.host) != 0) return;
    if (warp.begun[lane]) _longjmp(warp.lanes[lane], 1);
    warp.begun[lane] = true;
    getcontext(&warp.start[lane]);
    warp.start[lane].uc_stack.ss_sp = warp.stacks + lane * Warp::STACK;
    warp.start[lane].uc_stack.ss_size = Warp::STACK;
    warp.start[lane].uc_link = nullptr;
    makecontext(&warp.start[lane], &live, 0);
    setcontext(&warp.start[lane]);
}
template <class Work>
static void run_warp(unsigned first, Work work) {
    if (!warp.stacks) warp.stacks = (char*)std::malloc(Warp::LANES_OF_WARP * Warp::STACK);
    warp.work = [](void* with) { (*(Work*)with)(); };
    warp.with = &work;
    for (int lane = 0; lane < Warp::LANES_OF_WARP; lane++) warp.busy[lane] = true, warp.turns[lane] = 0;
    for (int busy = Warp::LANES_OF_WARP; busy > 0;) {
        for (int lane = 0; lane < Warp::LANES_OF_WARP; lane++) threadIdx.x = first + lane, resume(lane);
        busy = 0;
        for (int lane = 0; lane < Warp::LANES_OF_WARP; lane++) busy += warp.busy[lane];
        if (busy != 0 && busy != Warp::LANES_OF_WARP) {
            std::fprintf(stderr, "pretended cuda: lanes of a warp went apart\n");
            std::abort();
        }
    }
}

template <class T> static T given(void* value, void* (*behind)(void*)) {
    T own = *static_cast<T*>(value);
    if constexpr (std::is_pointer_v<T>) return (T)behind((void*)own); else return own;
}
template <class... T, size_t... I>
static void run(bool exchanges, void (*kernel)(T...), std::index_sequence<I...>, unsigned blocks, unsigned threads,
                void** values, void* (*behind)(void*)) {
    blockDim.x = threads;
    std::tuple<T...> arguments(given<T>(values[I], behind)...);
    auto work = [&] { std::apply(kernel, arguments); };
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
        if (exchanges)
            for (unsigned first = 0; first < threads; first += Warp::LANES_OF_WARP) run_warp(first, work);
        else
            for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) work();
}
template <class... T>
static const size_t* sizes(void (*)(T...)) {
    static const size_t all[] = {sizeof(T)..., 0};
    return all;
}
template <class... T>
static void grid(bool exchanges, void (*kernel)(T...), unsigned blocks, unsigned threads, void** values,
                 void* (*behind)(void*)) {
    run(exchanges, kernel, std::index_sequence_for<T...>(), blocks, threads, values, behind);
}
)";
