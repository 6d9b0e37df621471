// Device tensors as kernels see them.
#pragma once

#include <ATen/core/Tensor.h>

namespace pretended {

// The memory of a tensor, a device's or the host's, as a tensor of the host.
at::Tensor as_host(const at::Tensor& tensor);

// A new tensor on the current device with the numbers and strides of one on the host.
at::Tensor to_device(const at::Tensor& host);

}  // namespace pretended
