// What a GPU has of memory, and how much was taken of it.

#include <c10/core/CachingDeviceAllocator.h>

namespace {

c10::DeviceAllocator& allocator() { return *c10::getDeviceAllocator(c10::kCUDA); }

// What libtorch has of the driver and no tensor uses; before the first tensor it has no statistics, and nothing.
size_t kept(c10::DeviceIndex device) {
    try {
        if (!allocator().initialized()) {
            return 0;
        }
        auto stats = allocator().getDeviceStats(device);
        return static_cast<size_t>(stats.reserved_bytes[0].current - stats.allocated_bytes[0].current);
    } catch (...) {
        return 0;
    }
}

}  // namespace

// In bytes: all that there is, what the driver has left of it, and what libtorch keeps for the next tensors.
struct CrolossGpuMemory {
    size_t total;
    size_t free;
    size_t kept;
};

extern "C" {

// Zeros where CUDA does not tell.
CrolossGpuMemory croloss_gpu_memory(int device) {
    try {
        auto index = static_cast<c10::DeviceIndex>(device);
        auto [free, total] = allocator().getMemoryInfo(index);
        return {total, free, kept(index)};
    } catch (...) {
        return {};
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
