// How much memory a GPU has left.

#include <c10/core/CachingDeviceAllocator.h>

extern "C" {

// In bytes; 0 where CUDA does not tell.
size_t croloss_free_memory(int device) {
    try {
        return c10::getDeviceAllocator(c10::kCUDA)->getMemoryInfo(static_cast<c10::DeviceIndex>(device)).first;
    } catch (...) {
        return 0;
    }
}
}
