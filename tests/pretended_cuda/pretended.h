// A CUDA device that is not there: a library that plays libtorch_cuda.so, for tests on machines without a GPU.
//
// What a GPU would launch is computed by libtorch's CPU kernels, at once. Device memory lies at addresses that
// nobody can read or write; kernels alone know where it really is. So what works here reads no device memory from
// the host, mixes no devices, and asks for nothing that CUDA has not. What it cannot show: speed, the order of
// what runs side by side, other roundings.
//
//   PRETENDED_CUDA_DEVICES  how many there are (2); CUDA_VISIBLE_DEVICES hides some, as with real ones
//   PRETENDED_CUDA_MIB      memory of each (4096)
//   PRETENDED_CUDA_COUNTS   a file that gets a line of JSON (counts.cpp) whenever the host waits for a whole
//                           device, and at exit
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Device.h>
#include <c10/core/DeviceType.h>
#include <c10/core/Stream.h>

#include <cstddef>
#include <string>

namespace pretended {

// A number from the environment.
size_t setting(const char* name, size_t otherwise);

// ---- device.cpp
c10::DeviceIndex device_count();
c10::DeviceIndex current_device();
// The number of the current device's stream that this thread launches on; 0 for the default one.
c10::StreamId current_stream();

// ---- memory.cpp
c10::DeviceAllocator& device_memory();
c10::Allocator& pinned_memory();
bool is_pinned(const void* address);
// Where what lies at a device address really is; other addresses stay.
void* behind(void* address);
// The device address of what really is there, or nothing.
void* in_front(const void* real);
// The most memory, and that in use now, in bytes.
std::pair<size_t, size_t> peak_and_used(c10::DeviceIndex device);
// The most memory since the call before, in bytes.
size_t peak_since(c10::DeviceIndex device);

// ---- counts.cpp
enum Count {
    LAUNCHES,
    TO_DEVICE_PINNED,
    TO_DEVICE_PAGEABLE,
    TO_HOST_PINNED,
    TO_HOST_PAGEABLE,
    // Times the host waits for what was launched.
    SYNCHRONIZATIONS,
    // Launches and copies on another stream than the default one, which nothing orders but events.
    ON_OTHER_STREAMS,
    COUNTS
};
// Adds one, in the name of an operation, to what this thread has come to; nothing within a kernel.
void count(Count what, const std::string& operation);
// Writes down all counts so far.
void write_counts(const char* at);

// Lasts as long as a kernel runs on this thread.
struct InKernel {
    InKernel();
    ~InKernel();
};

}  // namespace pretended
