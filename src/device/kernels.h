// Launches of kernels.cu.
#pragma once

#include <cstdint>

namespace croloss {

// Starts a kernel of a device that has them, a thread for each of `elements`, on libtorch's current stream. Throws where
// CUDA refuses.
void launch(int device, const char* name, int64_t elements, void** arguments);

}  // namespace croloss
