// Launches of kernels.cu and of what stands in kernels/.
#pragma once

#include <cstdint>
#include <exception>
#include <string>

namespace croloss {

// Errors are handed back as text, because an exception must not leave C++; nothing where there is none. It lasts until
// the thread's next of the same work.
template <class Work>
const char* told(Work work) {
    thread_local std::string error;
    try {
        work();
        return nullptr;
    } catch (std::exception& caught) {
        error = caught.what();
        return error.c_str();
    }
}

// Starts a kernel of a device that has them, a thread for each of `elements`, on libtorch's current stream. Throws where
// CUDA refuses.
void launch(int device, const char* name, int64_t elements, void** arguments);

// The same, with arguments of the types that the kernel declares.
template <class... Arguments>
void launch_with(int device, const char* name, int64_t elements, Arguments... arguments) {
    void* pointers[] = {&arguments...};
    launch(device, name, elements, pointers);
}

// Threads of a kernel that gives each row a warp.
constexpr int64_t WARP = 32;

}  // namespace croloss
