// Writes down the operations of libtorch, and the kernels of our own, that a piece of work comes to; before the name of
// one that calls others stands "calls ".

#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace {

// What is written for one piece of work. libtorch hands it on to its own threads, which on a GPU take the way back.
struct Record : c10::DebugInfoBase {
    std::mutex lock;
    std::string names;
};

c10::DebugInfoKind place() { return c10::DebugInfoKind::TEST_INFO; }

// For each operation in progress on a thread whether it has called another.
thread_local std::vector<bool> in_progress;
thread_local at::CallbackHandle handle = 0;

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction&) {
    if (!in_progress.empty()) {
        in_progress.back() = true;
    }
    in_progress.push_back(false);
    return nullptr;
}

void end(const at::RecordFunction& operation, at::ObserverContext*) {
    if (auto* record = dynamic_cast<Record*>(c10::ThreadLocalDebugInfo::get(place()))) {
        std::lock_guard<std::mutex> guard(record->lock);
        record->names += in_progress.back() ? "calls " : "";
        record->names += operation.name();
        record->names += '\n';
    }
    in_progress.pop_back();
}

}  // namespace

extern "C" {

// Starts to write, for this thread.
void croloss_operations_start() {
    in_progress.clear();
    c10::ThreadLocalDebugInfo::_push(place(), std::make_shared<Record>());
    auto callback = at::RecordFunctionCallback(begin, end).scopes({at::RecordScope::FUNCTION});
    handle = at::addThreadLocalCallback(callback);
}

// Stops; copies the names, one a line, into `out` if they fit. Returns their length in bytes.
size_t croloss_operations_stop(char* out, size_t size) {
    at::removeCallback(handle);
    auto record = std::dynamic_pointer_cast<Record>(c10::ThreadLocalDebugInfo::_pop(place()));
    std::lock_guard<std::mutex> guard(record->lock);
    if (record->names.size() <= size) {
        std::memcpy(out, record->names.data(), record->names.size());
    }
    return record->names.size();
}
}
