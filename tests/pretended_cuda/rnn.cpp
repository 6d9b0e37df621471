// cuDNN's GRU: computed by the CPU's, forward and back, with cuDNN's refusals.
#include "graph.h"
#include "kernels.h"
#include "pretended.h"

#include <ATen/Context.h>
#include <ATen/native/RNN.h>
#include <ATen/ops/_cudnn_rnn.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gru.h>
#include <ATen/record_function.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/library.h>

#include <exception>
#include <thread>

namespace pretended {
namespace {

using at::Tensor;
using MaybeTensor = std::optional<Tensor>;

// CUDNN_GRU
constexpr int64_t GRU = 3;

// What GRU layers are made of, besides what they read.
struct Layers {
    int64_t count;
    bool batch_first;
    double dropout;
    bool train;
    bool bidirectional;
    bool biases;

    std::tuple<Tensor, Tensor> of(const Tensor& input, const Tensor& start, at::TensorList weights) const {
        return at::gru(input, start, weights, biases, count, dropout, train, bidirectional, batch_first);
    }
};

void refuse_others(int64_t mode, at::SymIntArrayRef batch_sizes, double dropout, bool train) {
    TORCH_CHECK(mode == GRU && batch_sizes.empty(), "pretended cuda: of cuDNN's networks it has the padded GRU only");
    TORCH_CHECK(dropout == 0 || !train, "pretended cuda: its GRU has no dropout between layers");
    // What computes here has all digits: a real one would not.
    TORCH_CHECK(!at::globalContext().allowTF32CuDNN(at::Float32Op::RNN), "pretended cuda: cuDNN may take TF32");
}

std::vector<Tensor> all_as_host(at::TensorList tensors) {
    std::vector<Tensor> all;
    for (const Tensor& tensor : tensors) {
        all.push_back(as_host(tensor));
    }
    return all;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> forward(
    const Tensor& input, at::TensorList weights, int64_t stride, const MaybeTensor& buffer, const Tensor& start,
    const MaybeTensor&, int64_t mode, c10::SymInt, c10::SymInt, int64_t layers, bool batch_first, double dropout,
    bool train, bool bidirectional, c10::SymIntArrayRef batch_sizes, const MaybeTensor&) {
    refuse_recorded("aten::_cudnn_rnn");
    count(LAUNCHES, "aten::_cudnn_rnn");
    refuse_others(mode, batch_sizes, dropout, train);
    TORCH_CHECK(start.is_contiguous(), "rnn: hx is not contiguous");
    c10::DeviceGuard guard(input.device());
    InKernel in_kernel;
    at::AutoDispatchBelowADInplaceOrView below;
    at::DisableRecordFunctionGuard unrecorded;
    Layers own{layers, batch_first, dropout, train, bidirectional, stride == 4};
    auto [output, end] = own.of(as_host(input), as_host(start), all_as_host(weights));
    Tensor reserve = at::empty({train ? 1 : 0}, input.options().dtype(at::kByte));
    Tensor none = at::empty({0}, input.options());
    return {to_device(output), to_device(end), none, reserve, buffer.value_or(none)};
}

std::tuple<Tensor, Tensor, Tensor, std::vector<Tensor>> backward(
    const Tensor& input, at::TensorList weights, int64_t stride, const Tensor&, const Tensor& start,
    const MaybeTensor&, const Tensor& output, const MaybeTensor& of_output, const MaybeTensor& of_end,
    const MaybeTensor&, int64_t mode, c10::SymInt, c10::SymInt, int64_t layers, bool batch_first, double dropout,
    bool train, bool bidirectional, c10::SymIntArrayRef batch_sizes, const MaybeTensor&, const Tensor&,
    std::array<bool, 4>) {
    refuse_recorded("aten::_cudnn_rnn_backward");
    count(LAUNCHES, "aten::_cudnn_rnn_backward");
    refuse_others(mode, batch_sizes, dropout, train);
    TORCH_CHECK(train, "cudnn RNN backward can only be called in training mode");
    c10::DeviceGuard guard(input.device());
    Layers own{layers, batch_first, dropout, train, bidirectional, stride == 4};
    std::vector<Tensor> leaves = {as_host(input), as_host(start)};
    for (const Tensor& weight : weights) {
        leaves.push_back(as_host(weight));
    }
    std::vector<Tensor> gradients;
    std::exception_ptr failure;
    // A thread of its own: in this one a backward is under way, and gradients are off.
    std::thread([&] {
        try {
            for (Tensor& leaf : leaves) {
                leaf = leaf.clone().set_requires_grad(true);
            }
            auto [out, end] = own.of(leaves[0], leaves[1], at::TensorList(leaves).slice(2));
            std::vector<Tensor> outputs, slopes;
            auto add = [&](const Tensor& of, const MaybeTensor& slope) {
                if (slope && slope->defined()) {
                    outputs.push_back(of);
                    slopes.push_back(as_host(*slope));
                }
            };
            add(out, of_output);
            add(end, of_end);
            gradients = torch::autograd::grad(outputs, leaves, slopes);
        } catch (...) {
            failure = std::current_exception();
        }
    }).join();
    if (failure) {
        std::rethrow_exception(failure);
    }
    InKernel in_kernel;
    std::vector<Tensor> all;
    for (const Tensor& gradient : gradients) {
        all.push_back(to_device(gradient));
    }
    return {all[0], all[1], Tensor(), {all.begin() + 2, all.end()}};
}

void gru(Tensor& output, Tensor& end, const Tensor& input, const Tensor& start, at::TensorList weights, bool biases,
         int64_t layers, double dropout, bool train, bool bidirectional, bool batch_first) {
    at::native::check_attributes(input, weights, start, true);
    auto all = at::_cudnn_rnn(input.contiguous(), weights, biases ? 4 : 2, {}, start, {}, GRU, start.size(2), 0, layers,
                              batch_first, dropout, train, bidirectional, {}, {});
    output = std::get<0>(all);
    end = std::get<1>(all);
}

}  // namespace
}  // namespace pretended

namespace at::native {
REGISTER_CUDA_DISPATCH(gru_cudnn_stub, &pretended::gru)
}

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
    m.impl("_cudnn_rnn", &pretended::forward);
    m.impl("_cudnn_rnn_backward", &pretended::backward);
}
