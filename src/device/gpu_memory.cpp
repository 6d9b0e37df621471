// How much memory a GPU has left, and how much was taken of it.

#include <c10/core/CachingDeviceAllocator.h>

namespace {

c10::DeviceAllocator& allocator() { return *c10::getDeviceAllocator(c10::kCUDA); }

}  // namespace

extern "C" {

// In bytes; 0 where CUDA does not tell.
size_t croloss_free_memory(int device) {
    try {
        return allocator().getMemoryInfo(static_cast<c10::DeviceIndex>(device)).first;
    } catch (...) {
        return 0;
    }
}

// Likewise all that it has.
size_t croloss_total_memory(int device) {
    try {
        return allocator().getMemoryInfo(static_cast<c10::DeviceIndex>(device)).second;
    } catch (...) {
        return 0;
    }
}

// The most that this process has taken for tensors at one time, in bytes, with what libtorch keeps for the next ones;
// 0 where CUDA does not tell.
size_t croloss_peak_memory(int device) {
    try {
        auto stats = allocator().getDeviceStats(static_cast<c10::DeviceIndex>(device));
        return static_cast<size_t>(stats.reserved_bytes[0].peak);
    } catch (...) {
        return 0;
    }
}
}
