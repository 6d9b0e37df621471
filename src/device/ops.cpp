// Writes down the operations of libtorch that a piece of work comes to; before the name of one that
// calls others stands "calls ".

#include <ATen/record_function.h>
#include <torch/version.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

// For each operation in progress whether it has called another.
thread_local std::vector<bool> in_progress;
thread_local std::string names;
thread_local at::CallbackHandle handle = 0;

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction&) {
    if (!in_progress.empty()) {
        in_progress.back() = true;
    }
    in_progress.push_back(false);
    return nullptr;
}

void end(const at::RecordFunction& operation, at::ObserverContext*) {
    names += in_progress.back() ? "calls " : "";
    names += operation.name();
    names += '\n';
    in_progress.pop_back();
}

}  // namespace

extern "C" {

// The version of libtorch, as `2.13.0`.
const char* croloss_libtorch_version() { return TORCH_VERSION; }

// Starts to write, on this thread.
void croloss_operations_start() {
    names.clear();
    in_progress.clear();
    auto callback = at::RecordFunctionCallback(begin, end).scopes({at::RecordScope::FUNCTION});
    handle = at::addThreadLocalCallback(callback);
}

// Stops; copies the names, one a line, into `out` if they fit. Returns their length in bytes.
size_t croloss_operations_stop(char* out, size_t size) {
    at::removeCallback(handle);
    if (names.size() <= size) {
        std::memcpy(out, names.data(), names.size());
    }
    return names.size();
}
}
