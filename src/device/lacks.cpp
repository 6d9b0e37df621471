// What tch lacks of libtorch: a function with a way back of its own, the way back from a gradient, float32 as it is, and
// what was built.
#include "kernels.h"

#include <caffe2/core/common.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/torch.h>

#include <vector>

namespace {

using at::Tensor;
using Variables = torch::autograd::variable_list;

std::vector<Tensor> list(Tensor** tensors, size_t count) {
    std::vector<Tensor> all;
    for (size_t at = 0; at < count; at++) {
        all.push_back(*tensors[at]);
    }
    return all;
}

// v / √(|v|² + ε) along the last dimension.
struct Unit : torch::autograd::Function<Unit> {
    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& given, double epsilon) {
        Tensor v = given.contiguous();
        Tensor unit = at::empty_like(v);
        Tensor inverse = at::empty({v.numel() / v.size(-1)}, v.options());
        int64_t numbers = v.numel();
        int dim = static_cast<int>(v.size(-1));
        float beside = static_cast<float>(epsilon);
        void *from = v.data_ptr(), *to = unit.data_ptr(), *lengths = inverse.data_ptr();
        void* arguments[] = {&from, &to, &lengths, &numbers, &dim, &beside};
        croloss::launch(v.device().index(), "croloss_unit", numbers, arguments);
        context->save_for_backward({v, inverse});
        return unit;
    }

    static Variables backward(torch::autograd::AutogradContext* context, Variables gradients) {
        Variables saved = context->get_saved_variables();
        Tensor gradient = gradients[0].contiguous();
        Tensor back = at::empty_like(gradient);
        int64_t numbers = gradient.numel();
        int dim = static_cast<int>(gradient.size(-1));
        void *v = saved[0].data_ptr(), *inverse = saved[1].data_ptr();
        void *from = gradient.data_ptr(), *to = back.data_ptr();
        void* arguments[] = {&v, &inverse, &from, &to, &numbers, &dim};
        croloss::launch(gradient.device().index(), "croloss_unit_back", numbers, arguments);
        return {back, Tensor()};
    }
};

}  // namespace

extern "C" {

// Unit length by a kernel, with a way back; `v` float32 on a device that has kernels.
const char* croloss_unit(Tensor* v, double epsilon, Tensor** out) {
    return croloss::told([&] { *out = new Tensor(Unit::apply(*v, epsilon)); });
}

// What the libtorch that is loaded was built with by this name, as `TORCH_VERSION` or `CUDA_VERSION`; or nothing.
const char* croloss_libtorch_built_with(const char* name) {
    const auto& all = caffe2::GetBuildOptions();
    auto found = all.find(name);
    return found == all.end() ? nullptr : found->second.c_str();
}

// Products of float32 on a GPU are of all its digits. libtorch lets cuDNN, and so GRU, take factors of TF32, ten bits;
// cuBLAS where the environment says so.
void croloss_whole_float32() {
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
}

// The gradients of leaves, from those of some tensors.
const char* croloss_backward(Tensor** of, Tensor** gradients, size_t given, Tensor** leaves, size_t count,
                             Tensor** out) {
    return croloss::told([&] {
        auto all = torch::autograd::grad(list(of, given), list(leaves, count), list(gradients, given));
        for (size_t at = 0; at < count; at++) {
            out[at] = new Tensor(all[at]);
        }
    });
}
}
