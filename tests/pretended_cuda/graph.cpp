// CUDA graphs: what is launched on a stream that is recorded is kept and not done, and done when the graph is replayed.
// The names are libtorch's.
#include "graph.h"

#include <c10/util/Exception.h>

#include <atomic>
#include <memory>
#include <mutex>

namespace pretended {
namespace {

struct Recording {
    std::mutex lock;
    std::vector<std::function<void()>> work;
    // What tensors that were made meanwhile had, for the graph alone as long as it is there.
    std::vector<std::function<void()>> kept;
};

std::atomic<Recording*> recording = nullptr;

}  // namespace

// Every thread whose stream is not the default one works for the recording.
bool is_recorded() { return recording != nullptr && current_stream() != 0; }

void record(std::function<void()> work) {
    std::lock_guard<std::mutex> guard(recording.load()->lock);
    recording.load()->work.push_back(std::move(work));
}

void keep(std::function<void()> give_back) {
    std::lock_guard<std::mutex> guard(recording.load()->lock);
    recording.load()->kept.push_back(std::move(give_back));
}

void refuse_recorded(const std::string& what) {
    TORCH_CHECK(!is_recorded(), "CUDA error: operation not permitted when stream is capturing (", what, ")");
}

void refuse_tied(bool one_is_default, bool other_is_default) {
    TORCH_CHECK(recording == nullptr || one_is_default == other_is_default,
                "CUDA error: dependency created on uncaptured work in another stream");
}

}  // namespace pretended

enum cudaStreamCaptureMode : int {};

namespace at::cuda {

struct CUDAGraph {
    explicit CUDAGraph(bool keep_graph);
    ~CUDAGraph();
    void capture_begin(c10::MempoolId_t pool, cudaStreamCaptureMode mode);
    void capture_end();
    void replay();

    std::unique_ptr<pretended::Recording> own;
    bool whole = false;
};

CUDAGraph::CUDAGraph(bool) : own(std::make_unique<pretended::Recording>()) {}

CUDAGraph::~CUDAGraph() {
    own->work.clear();
    for (auto& give_back : own->kept) {
        give_back();
    }
}

void CUDAGraph::capture_begin(c10::MempoolId_t, cudaStreamCaptureMode mode) {
    TORCH_CHECK(pretended::current_stream() != 0, "CUDA graphs must be captured on a non-default stream.");
    TORCH_CHECK(mode == 1, "what other threads ask for would end the capture");
    pretended::Recording* none = nullptr;
    TORCH_CHECK(pretended::recording.compare_exchange_strong(none, own.get()), "another graph is being captured");
}

void CUDAGraph::capture_end() {
    TORCH_CHECK(pretended::current_stream() != 0, "Capture must end on the same stream it began on.");
    pretended::recording = nullptr;
    whole = true;
}

void CUDAGraph::replay() {
    TORCH_CHECK(whole, "Called CUDAGraph::replay without a preceding successful capture.");
    pretended::count(pretended::LAUNCHES, "graph");
    pretended::InKernel in_kernel;
    for (auto& work : own->work) {
        work();
    }
}

}  // namespace at::cuda
