// Records what is launched as a CUDA graph, by libtorch's own class for that. Its header asks for CUDA's, which not every
// libtorch brings: its functions are found by name where libtorch's CUDA is loaded.
#include "kernels.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Device.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstddef>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

// at::cuda::CUDAGraph, for which libtorch is told where to make it.
struct Functions {
    void (*construct)(void* graph, bool keep_graph);
    void (*destruct)(void* graph);
    void (*begin)(void* graph, c10::MempoolId_t pool, int mode);
    void (*end)(void* graph);
    void (*replay)(void* graph);

    Functions() {
        find("_ZN2at4cuda9CUDAGraphC1Eb", construct);
        find("_ZN2at4cuda9CUDAGraphD1Ev", destruct);
        find("_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode", begin);
        find("_ZN2at4cuda9CUDAGraph11capture_endEv", end);
        find("_ZN2at4cuda9CUDAGraph6replayEv", replay);
    }

   private:
    template <class Function>
    static void find(const char* name, Function*& function) {
        function = reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
        if (function == nullptr) {
            throw std::runtime_error(std::string("this libtorch has no ") + name);
        }
    }
};

const Functions& functions() {
    static const Functions found;
    return found;
}

// What other threads ask of CUDA meanwhile does not disturb it: cudaStreamCaptureModeThreadLocal.
constexpr int THIS_THREAD_ALONE = 1;

// This thread's stream for recording on a device. One for all graphs, since cuBLAS keeps memory for each stream.
c10::Stream stream_of(int device) {
    thread_local std::map<int, c10::Stream> streams;
    auto found = streams.find(device);
    if (found == streams.end()) {
        c10::Device own(c10::kCUDA, static_cast<c10::DeviceIndex>(device));
        c10::Stream stream = c10::impl::VirtualGuardImpl(c10::kCUDA).getStreamFromGlobalPool(own);
        found = streams.emplace(device, stream).first;
    }
    return found->second;
}

}  // namespace

struct CrolossGraph {
    // Of which libtorch 2.13 takes 344.
    alignas(std::max_align_t) std::byte room[4096];

    CrolossGraph() { functions().construct(room, false); }
    ~CrolossGraph() { functions().destruct(room); }
};

extern "C" {

// Why there are no graphs; nothing where there are.
const char* croloss_graph_missing() {
    return croloss::told([] { functions(); });
}

// Puts this thread on the stream for recording, which the default one cannot be, and hands back the one that it was on, to be put back there.
const char* croloss_graph_stream(int device, c10::StreamGuard** out) {
    return croloss::told([&] { *out = new c10::StreamGuard(stream_of(device)); });
}

void croloss_graph_stream_back(c10::StreamGuard* before) { delete before; }

// From here on this thread's launches on that stream are recorded in place of being made, and so are those of the threads
// that work for it.
const char* croloss_graph_begin(CrolossGraph** out) {
    return croloss::told([&] {
        // What libtorch keeps for later is not for a graph, and stays kept while one is recorded.
        c10::getDeviceAllocator(c10::kCUDA)->emptyCache();
        auto graph = std::make_unique<CrolossGraph>();
        functions().begin(graph->room, {0, 0}, THIS_THREAD_ALONE);
        *out = graph.release();
    });
}

const char* croloss_graph_end(CrolossGraph* graph) {
    return croloss::told([&] { functions().end(graph->room); });
}

// Launches all that was recorded, on libtorch's current stream.
const char* croloss_graph_replay(CrolossGraph* graph) {
    return croloss::told([&] { functions().replay(graph->room); });
}

void croloss_graph_free(CrolossGraph* graph) { delete graph; }
}
