// Every operation on a device tensor: the CPU's kernel on the memory behind it.
#include "graph.h"
#include "kernels.h"
#include "pretended.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/op_registration/adaption.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/view_native.h>
#include <ATen/record_function.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <algorithm>
#include <set>
#include <vector>

namespace pretended {

using at::Tensor;
using c10::IValue;

namespace {

const c10::DispatchKeySet CUDA(c10::DispatchKey::CUDA);

Tensor empty_strided_on_device(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType type) {
    return at::detail::empty_strided_generic(sizes, strides, &device_memory(), CUDA, type);
}

// What must know on the host what came out on the device. (multinomial and masked_scatter_ look at what they are given
// on the device; index asks nonzero for the places of a mask.)
bool waits(const std::string& name, c10::ArrayRef<IValue> arguments) {
    if (name == "aten::repeat_interleave") {
        return arguments[1].isNone();
    }
    if (name == "aten::_index_put_impl_") {
        auto indices = arguments[1].toOptionalTensorVector();
        return std::any_of(indices.begin(), indices.end(), [](auto& own) {
            return own && own->defined() && (own->scalar_type() == at::kBool || own->scalar_type() == at::kByte);
        });
    }
    static const std::set<std::string> names = {
        "aten::nonzero",     "aten::masked_select",       "aten::_unique",      "aten::_unique2",
        "aten::unique_dim",  "aten::unique_consecutive",  "aten::equal",        "aten::bincount",
        "aten::is_nonzero",  "aten::unique_dim_consecutive"};
    return names.count(name) > 0;
}

// Refuses arguments of several devices as CUDA does. A number on the host may stand beside a device's tensors
// where the operation goes element by element.
void check_devices(const c10::OperatorHandle& op, const std::vector<std::pair<std::string, Tensor>>& arguments) {
    c10::optional<at::Device> common;
    for (auto& [name, tensor] : arguments) {
        if (!common && tensor.is_cuda()) {
            common = tensor.device();
        }
    }
    bool pointwise = op.hasTag(at::Tag::pointwise);
    for (auto& [name, tensor] : arguments) {
        bool number = tensor.is_cpu() && tensor.dim() == 0;
        if (tensor.device() == *common ||
            (number && (pointwise || tensor.unsafeGetTensorImpl()->is_wrapped_number()))) {
            continue;
        }
        TORCH_CHECK(!pointwise, "Expected all tensors to be on the same device, but found at least two devices, ",
                    *common, " and ", tensor.device(), "!");
        auto method = "wrapper_CUDA_" + op.schema().name().substr(6);
        c10::impl::common_device_check_failure(*common, tensor, method.c_str(), name.c_str());
    }
}

// A device tensor that an operation was given, and the host's that stands for it in the kernel.
struct Pair {
    Tensor device;
    Tensor host;
};

// The device's form of what a kernel returns.
Tensor returned(const Tensor& host, const std::vector<Pair>& pairs) {
    if (!host.defined()) {
        return host;
    }
    for (auto& pair : pairs) {
        if (host.is_same(pair.host)) {
            return pair.device;
        }
    }
    if (in_front(host.storage().data()) == nullptr) {
        return to_device(host);
    }
    for (auto& pair : pairs) {
        if (host.storage().data() == pair.host.storage().data()) {
            return at::native::as_strided_tensorimpl(pair.device, host.sizes(), host.strides(), host.storage_offset());
        }
    }
    TORCH_CHECK(false, "pretended cuda: an operation returns memory that it was not given");
}

// What a kernel has made larger or put elsewhere.
void follow(const Pair& pair) {
    auto* impl = pair.device.unsafeGetTensorImpl();
    if (in_front(pair.host.storage().data()) == nullptr && pair.host.numel() > 0) {
        Tensor moved = to_device(pair.host);
        impl->set_storage_keep_dtype(moved.storage());
        impl->set_storage_offset(moved.storage_offset());
        impl->set_sizes_and_strides(moved.sizes(), moved.strides());
    } else if (pair.host.sizes() != pair.device.sizes()) {
        impl->set_sizes_and_strides(pair.host.sizes(), pair.host.strides());
    }
}

void compute(const c10::OperatorHandle& op, torch::jit::Stack* stack, c10::Device device);

// The same memory, for as long as somebody else keeps it: a graph knows addresses alone.
Tensor unowned(const Tensor& tensor) {
    if (!tensor.defined() || !tensor.is_cuda()) {
        return tensor;
    }
    const auto& storage = tensor.storage();
    auto own = c10::make_intrusive<c10::StorageImpl>(
        c10::StorageImpl::use_byte_size_t(), storage.nbytes(), c10::DataPtr(storage.mutable_data(), tensor.device()),
        nullptr, false);
    auto same = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(std::move(own)), CUDA, tensor.dtype());
    same.unsafeGetTensorImpl()->set_storage_offset(tensor.storage_offset());
    same.unsafeGetTensorImpl()->set_sizes_and_strides(tensor.sizes(), tensor.strides());
    return same;
}

// Puts in the place of a tensor, or of each of a list, what `of` makes of it.
template <class Of>
void change_tensors(IValue& value, Of of) {
    if (value.isTensor()) {
        value = of(value.toTensor());
    } else if (value.isTensorList()) {
        auto list = value.toTensorVector();
        for (Tensor& tensor : list) {
            tensor = of(tensor);
        }
        value = list;
    } else if (value.isOptionalTensorList()) {
        auto list = value.toOptionalTensorVector();
        for (auto& tensor : list) {
            tensor = tensor ? std::optional<Tensor>(of(*tensor)) : tensor;
        }
        value = list;
    }
}

torch::jit::Stack all_unowned(torch::jit::Stack values) {
    for (IValue& value : values) {
        change_tensors(value, unowned);
    }
    return values;
}

// Puts an operation into the graph. What it returns has its form at once, and its numbers when it is replayed; what it
// writes to stays as it is until then.
void record_operation(const c10::OperatorHandle& op, torch::jit::Stack* stack, c10::Device device) {
    auto arguments = torch::jit::last(*stack, op.schema().arguments().size()).vec();
    std::vector<std::pair<Tensor, Tensor>> written;
    for (size_t at = 0; at < arguments.size(); at++) {
        auto* alias = op.schema().arguments()[at].alias_info();
        if (alias != nullptr && alias->isWrite() && arguments[at].isTensor()) {
            Tensor tensor = arguments[at].toTensor();
            written.emplace_back(tensor, as_host(tensor).clone());
        }
    }
    torch::jit::Stack returned = arguments;
    compute(op, &returned, device);
    for (auto& [tensor, before] : written) {
        // What was of another size was made for what comes out.
        if (tensor.sizes() == before.sizes()) {
            as_host(tensor).copy_(before);
        }
    }
    record([op, device, given = all_unowned(arguments), given_back = all_unowned(returned)] {
        c10::DeviceGuard guard(device);
        torch::jit::Stack again = given;
        compute(op, &again, device);
        for (size_t at = 0; at < again.size(); at++) {
            if (!again[at].isTensor() || !again[at].toTensor().defined()) {
                TORCH_CHECK(!again[at].isList(), "pretended cuda: ", op.schema().name(), " cannot be replayed");
                continue;
            }
            Tensor was = given_back[at].toTensor(), is = again[at].toTensor();
            TORCH_CHECK(was.sizes() == is.sizes(), "pretended cuda: ", op.schema().name(), " has another size");
            if (was.storage().data() != is.storage().data()) {
                at::AutoDispatchBelowADInplaceOrView below;
                as_host(was).copy_(as_host(is));
            }
        }
    });
    torch::jit::drop(*stack, op.schema().arguments().size());
    stack->insert(stack->end(), returned.begin(), returned.end());
}

void launch(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
    const auto& schema = op.schema();
    auto overload = schema.overload_name();
    if (!is_recorded()) {
        count(LAUNCHES, schema.name() + (overload.empty() ? "" : "." + overload));
    }
    auto arguments = torch::jit::last(*stack, schema.arguments().size());
    if (waits(schema.name(), arguments)) {
        refuse_recorded(schema.name());
        count(SYNCHRONIZATIONS, schema.name());
    }
    bool sends_numbers = schema.name() == "aten::where";
    std::vector<std::pair<std::string, Tensor>> given;
    auto add = [&](size_t at, const Tensor& tensor) {
        if (tensor.defined()) {
            given.emplace_back(schema.arguments()[at].name(), tensor);
        }
    };
    for (size_t at = 0; at < arguments.size(); at++) {
        const IValue& value = arguments[at];
        if (value.isTensor()) {
            add(at, value.toTensor());
        } else if (value.isTensorList()) {
            for (const Tensor& tensor : value.toTensorVector()) {
                add(at, tensor);
            }
        } else if (value.isOptionalTensorList()) {
            for (const auto& tensor : value.toOptionalTensorVector()) {
                add(at, tensor.value_or(Tensor()));
            }
        }
    }
    c10::Device device(c10::kCUDA, current_device());
    for (auto& [name, tensor] : given) {
        device = tensor.is_cuda() ? tensor.device() : device;
        if (sends_numbers && tensor.is_cpu()) {
            // Other operations take a number of the host along; this one copies it first.
            refuse_recorded(schema.name());
            count(TO_DEVICE_PAGEABLE, schema.name());
            count(SYNCHRONIZATIONS, schema.name());
        }
    }
    c10::DeviceGuard guard(device);
    check_devices(op, given);
    is_recorded() ? record_operation(op, stack, device) : compute(op, stack, device);
}

// By the CPU's kernel; `device` is the current one.
void compute(const c10::OperatorHandle& op, torch::jit::Stack* stack, c10::Device device) {
    const auto& schema = op.schema();
    std::vector<Pair> pairs;
    auto enter = [&](const Tensor& tensor) {
        if (!tensor.defined() || !tensor.is_cuda()) {
            return tensor;
        }
        for (auto& pair : pairs) {
            if (pair.device.is_same(tensor)) {
                return pair.host;
            }
        }
        pairs.push_back({tensor, as_host(tensor)});
        return pairs.back().host;
    };
    auto begin = stack->size() - schema.arguments().size();
    for (size_t at = 0; at < schema.arguments().size(); at++) {
        IValue& value = (*stack)[begin + at];
        change_tensors(value, enter);
        if (value.isDevice()) {
            value = at::Device(at::kCPU);
        } else if (schema.arguments()[at].type()->str() == "Generator?" && value.isNone()) {
            value = at::detail::getCUDAHooks().getDefaultGenerator(device.index());
        }
    }
    {
        InKernel in_kernel;
        at::AutoDispatchBelowADInplaceOrView below;
        at::DisableRecordFunctionGuard unrecorded;
        op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
    }
    for (auto& pair : pairs) {
        follow(pair);
    }
    auto results = stack->size() - schema.returns().size();
    for (size_t at = results; at < stack->size(); at++) {
        change_tensors((*stack)[at], [&](const Tensor& tensor) { return returned(tensor, pairs); });
    }
}

Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> type, std::optional<at::Layout>,
             std::optional<at::Device> device, std::optional<bool>, std::optional<at::MemoryFormat> format) {
    c10::OptionalDeviceGuard guard(device);
    return at::detail::empty_generic(sizes, &device_memory(), CUDA, c10::dtype_or_default(type), format);
}

Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides, std::optional<at::ScalarType> type,
                     std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>) {
    c10::OptionalDeviceGuard guard(device);
    return empty_strided_on_device(sizes, strides, c10::dtype_or_default(type));
}

// Between host and device the host waits, unless it is told not to and its memory is pinned.
Tensor& copy_(Tensor& to, const Tensor& from, bool non_blocking) {
    auto copy = [](const Tensor& to, const Tensor& from) {
        InKernel in_kernel;
        at::AutoDispatchBelowADInplaceOrView below;
        at::DisableRecordFunctionGuard unrecorded;
        as_host(to).copy_(as_host(from));
    };
    if (to.is_cuda() && from.is_cuda()) {
        if (is_recorded()) {
            record([copy, to = unowned(to), from = unowned(from)] { copy(to, from); });
            return to;
        }
        count(LAUNCHES, "copy");
    } else {
        refuse_recorded("copy");
        const Tensor& host = to.is_cuda() ? from : to;
        bool pinned = is_pinned(host.storage().data());
        if (to.is_cuda()) {
            count(pinned ? TO_DEVICE_PINNED : TO_DEVICE_PAGEABLE, "copy");
        } else {
            count(pinned ? TO_HOST_PINNED : TO_HOST_PAGEABLE, "copy");
        }
        if (!(non_blocking && pinned)) {
            count(SYNCHRONIZATIONS, "copy");
        }
        if (to.scalar_type() != from.scalar_type() || !from.is_contiguous()) {
            // What is not sent as it lies is made so first, where it is.
            if (from.is_cuda()) {
                count(LAUNCHES, "copy");
            }
        }
    }
    copy(to, from);
    return to;
}

Tensor copy_from(const Tensor& from, const Tensor& to, bool non_blocking) {
    Tensor target = to;
    return copy_(target, from, non_blocking);
}

const Tensor& resize_(const Tensor& self, at::IntArrayRef sizes, std::optional<at::MemoryFormat>) {
    c10::DeviceGuard guard(self.device());
    auto* impl = self.unsafeGetTensorImpl();
    impl->set_sizes_contiguous(sizes);
    size_t needed = (self.numel() + self.storage_offset()) * self.itemsize();
    if (needed > impl->storage().nbytes()) {
        auto* storage = impl->unsafe_storage().unsafeGetStorageImpl();
        c10::DataPtr larger = device_memory().allocate(needed);
        std::memcpy(behind(larger.get()), behind(storage->mutable_data()), storage->nbytes());
        storage->set_data_ptr_noswap(std::move(larger));
        storage->set_nbytes(needed);
    }
    return self;
}

at::Scalar read(const Tensor& self) {
    refuse_recorded("read");
    count(TO_HOST_PINNED, "read");
    count(SYNCHRONIZATIONS, "read");
    InKernel in_kernel;
    at::AutoDispatchBelowADInplaceOrView below;
    at::DisableRecordFunctionGuard unrecorded;
    return as_host(self).item();
}

}  // namespace

Tensor as_host(const Tensor& tensor) {
    if (!tensor.defined() || !tensor.is_cuda()) {
        return tensor;
    }
    const auto& storage = tensor.storage();
    auto own = c10::make_intrusive<c10::StorageImpl>(
        c10::StorageImpl::use_byte_size_t(), storage.nbytes(),
        c10::DataPtr(behind(storage.mutable_data()), c10::kCPU), c10::GetCPUAllocator(), true);
    auto host = at::detail::make_tensor<c10::TensorImpl>(
        c10::Storage(std::move(own)), c10::DispatchKeySet(c10::DispatchKey::CPU), tensor.dtype());
    auto* impl = host.unsafeGetTensorImpl();
    impl->set_storage_offset(tensor.storage_offset());
    impl->set_sizes_and_strides(tensor.sizes(), tensor.strides());
    return host;
}

Tensor to_device(const Tensor& host) {
    Tensor device = empty_strided_on_device(host.sizes(), host.strides(), host.scalar_type());
    as_host(device).copy_(host);
    return device;
}

}  // namespace pretended

TORCH_LIBRARY_IMPL(_, CUDA, m) {
    m.fallback(torch::CppFunction::makeFromBoxedFunction<&pretended::launch>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
    m.impl("empty.memory_format", &pretended::empty);
    m.impl("empty_strided", &pretended::empty_strided);
    m.impl("copy_", &pretended::copy_);
    m.impl("_copy_from", &pretended::copy_from);
    m.impl("resize_", &pretended::resize_);
    m.impl("_local_scalar_dense", &pretended::read);
    // Of this one libtorch has a form for any device, which would come before the fallback; CUDA has a kernel.
    m.impl("native_layer_norm", torch::CppFunction::makeFromBoxedFunction<&pretended::launch>());
    using at::Tensor;
    m.impl("as_strided", static_cast<Tensor (*)(const Tensor&, at::IntArrayRef, at::IntArrayRef, std::optional<int64_t>)>(
                             &at::native::as_strided_tensorimpl));
    m.impl("view", static_cast<Tensor (*)(const Tensor&, at::IntArrayRef)>(&at::native::view));
    m.impl("_reshape_alias", static_cast<Tensor (*)(const Tensor&, at::IntArrayRef, at::IntArrayRef)>(
                                 &at::native::_reshape_alias));
}
