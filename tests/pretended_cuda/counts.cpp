// What each thread asks of the device: launches, copies by direction and by the memory that they start or end in,
// waits. A line of JSON holds the sums since the start, and of each device the most memory since then and since the
// line before:
//
//   {"at": "synchronize", "visible": "1", "peak": [8192], "peak_since": [4096],
//    "threads": {"main": {"launches": 3, …, "operations": {"launches": {"aten::add.Tensor": 3}, …}}}}
//
// One operation counts as one launch, though a real device may need several kernels for it.
#include "pretended.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace pretended {
namespace {

constexpr const char* NAMES[COUNTS] = {"launches",        "to_device_pinned", "to_device_pageable",
                                       "to_host_pinned",  "to_host_pageable", "synchronizations",
                                       "on_other_streams"};

using Operations = std::array<std::map<std::string, long>, COUNTS>;

struct OfThread {
    std::string name;
    std::mutex lock;
    Operations operations;
};

std::mutex all_lock;

std::vector<std::shared_ptr<OfThread>>& all() {
    // Never freed: threads count until the very end.
    static auto* all = new std::vector<std::shared_ptr<OfThread>>();
    return *all;
}

OfThread& own() {
    thread_local std::shared_ptr<OfThread> own = [] {
        auto own = std::make_shared<OfThread>();
        char name[16] = "";
        pthread_getname_np(pthread_self(), name, sizeof name);
        own->name = name;
        std::lock_guard<std::mutex> guard(all_lock);
        all().push_back(own);
        return own;
    }();
    return *own;
}

thread_local int kernels = 0;

struct AtExit {
    ~AtExit() { write_counts("exit"); }
} at_exit;

}  // namespace

InKernel::InKernel() { kernels++; }
InKernel::~InKernel() { kernels--; }

void count(Count what, const std::string& operation) {
    if (kernels > 0) {
        return;
    }
    OfThread& counts = own();
    std::lock_guard<std::mutex> guard(counts.lock);
    counts.operations[what][operation]++;
    if (what < SYNCHRONIZATIONS && current_stream() != 0) {
        counts.operations[ON_OTHER_STREAMS][operation]++;
    }
}

void write_counts(const char* at) {
    const char* path = std::getenv("PRETENDED_CUDA_COUNTS");
    if (path == nullptr) {
        return;
    }
    std::lock_guard<std::mutex> guard(all_lock);
    std::map<std::string, Operations> by_name;
    for (auto& thread : all()) {
        std::lock_guard<std::mutex> guard(thread->lock);
        for (int what = 0; what < COUNTS; what++) {
            for (auto& [operation, times] : thread->operations[what]) {
                by_name[thread->name][what][operation] += times;
            }
        }
    }
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    std::string line = std::string("{\"at\": \"") + at + "\", \"visible\": \"" + (visible ? visible : "") + "\"";
    std::string peak, since;
    for (c10::DeviceIndex device = 0; device < device_count(); device++) {
        const char* comma = device > 0 ? ", " : "";
        peak += comma + std::to_string(peak_and_used(device).first);
        since += comma + std::to_string(peak_since(device));
    }
    line += ", \"peak\": [" + peak + "], \"peak_since\": [" + since + "], \"threads\": {";
    for (auto& [name, operations] : by_name) {
        line += (line.back() == '{' ? "\"" : ", \"") + name + "\": {";
        std::string single;
        for (int what = 0; what < COUNTS; what++) {
            long sum = 0;
            single += std::string(what > 0 ? ", \"" : "\"") + NAMES[what] + "\": {";
            for (auto& [operation, times] : operations[what]) {
                single += (single.back() == '{' ? "\"" : ", \"") + operation + "\": " + std::to_string(times);
                sum += times;
            }
            single += "}";
            line += std::string("\"") + NAMES[what] + "\": " + std::to_string(sum) + ", ";
        }
        line += "\"operations\": {" + single + "}}";
    }
    line += "}}\n";
    // In one piece: other processes may write there, too.
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (file >= 0) {
        (void)!write(file, line.data(), line.size());
        close(file);
    }
}

}  // namespace pretended
