// A Transformer's steps between its matrix products, each with a way back (encoder.cu): what is computed by chains of
// small operations elsewhere. Everything is float32 on a device that has kernels.
#include "../kernels.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>
#include <vector>

namespace {

using at::Tensor;
using croloss::launch_with;
using croloss::WARP;
using Context = torch::autograd::AutogradContext;
using Variables = torch::autograd::variable_list;

int index_of(const Tensor& tensor) { return tensor.device().index(); }

void* data(const Tensor& tensor) { return tensor.defined() ? tensor.data_ptr() : nullptr; }

// Which numbers dropout sets to zero, and what it multiplies the others with.
struct Drops {
    int64_t seed;
    unsigned least;
    float kept;

    Drops(double rate, int64_t seed)
        : seed(seed), least(static_cast<unsigned>(rate * 4294967296.0)), kept(static_cast<float>(1 / (1 - rate))) {}

    static Drops of(Context* context) {
        return {context->saved_data["rate"].toDouble(), context->saved_data["seed"].toInt()};
    }

    void keep(Context* context, double rate) const {
        context->saved_data["rate"] = rate;
        context->saved_data["seed"] = seed;
    }
};

// drop(rows·factor + positions[history − 1 − from_end]).
struct Embed : torch::autograd::Function<Embed> {
    static Tensor forward(Context* context, const Tensor& rows, const Tensor& positions, const Tensor& from_end,
                          double factor, double rate, int64_t seed) {
        Drops drops(rate, seed);
        Tensor out = at::empty_like(rows);
        launch_with(index_of(rows), "croloss_embed", rows.numel(), data(rows), data(positions), data(from_end),
                    data(out), rows.numel(), int(rows.size(1)), int(positions.size(0)), float(factor), drops.seed,
                    drops.least, drops.kept);
        context->save_for_backward({from_end});
        context->saved_data["factor"] = factor;
        context->saved_data["history"] = positions.size(0);
        drops.keep(context, rate);
        return out;
    }

    static Variables backward(Context* context, Variables gradients) {
        Tensor gradient = gradients[0].contiguous();
        Tensor from_end = context->get_saved_variables()[0];
        int64_t history = context->saved_data["history"].toInt();
        Drops drops = Drops::of(context);
        Tensor of_rows = at::empty_like(gradient);
        Tensor of_positions = at::zeros({history, gradient.size(1)}, gradient.options());
        launch_with(index_of(gradient), "croloss_embed_back", gradient.numel(), data(gradient), data(from_end),
                    data(of_rows), data(of_positions), gradient.numel(), int(gradient.size(1)), int(history),
                    float(context->saved_data["factor"].toDouble()), drops.seed, drops.least, drops.kept);
        return {of_rows, of_positions, {}, {}, {}, {}};
    }
};

// drop(max(x, 0)).
struct Relu : torch::autograd::Function<Relu> {
    static Tensor forward(Context* context, const Tensor& given, double rate, int64_t seed) {
        Drops drops(rate, seed);
        Tensor x = given.contiguous();
        Tensor out = at::empty_like(x);
        launch_with(index_of(x), "croloss_relu", x.numel(), data(x), data(out), x.numel(), drops.seed, drops.least,
                    drops.kept);
        context->save_for_backward({out});
        drops.keep(context, rate);
        return out;
    }

    static Variables backward(Context* context, Variables gradients) {
        Tensor gradient = gradients[0].contiguous();
        Tensor back = at::empty_like(gradient);
        launch_with(index_of(gradient), "croloss_relu_back", gradient.numel(), data(context->get_saved_variables()[0]),
                    data(gradient), data(back), gradient.numel(), Drops::of(context).kept);
        return {back, {}, {}};
    }
};

// x + drop(added), where something is added, and that normalised, times weights, plus biases.
struct Norm : torch::autograd::Function<Norm> {
    static Variables forward(Context* context, const Tensor& given, const std::optional<Tensor>& more,
                             const Tensor& weight, const Tensor& bias, double epsilon, double rate, int64_t seed) {
        Drops drops(rate, seed);
        Tensor x = given.contiguous(), added = more ? more->contiguous() : Tensor();
        int64_t dim = x.size(-1), rows = x.numel() / dim;
        Tensor sum = added.defined() ? at::empty_like(x) : x;
        Tensor out = at::empty_like(x);
        Tensor means = at::empty({rows}, x.options()), inverse = at::empty({rows}, x.options());
        launch_with(index_of(x), "croloss_norm", rows * WARP, data(x), data(added), data(weight), data(bias),
                    added.defined() ? data(sum) : nullptr, data(out), data(means), data(inverse), rows, int(dim),
                    float(epsilon), drops.seed, drops.least, drops.kept);
        context->save_for_backward({sum, means, inverse, weight});
        context->saved_data["added"] = added.defined();
        context->set_materialize_grads(false);
        drops.keep(context, rate);
        return added.defined() ? Variables{out, sum} : Variables{out};
    }

    static Variables backward(Context* context, Variables gradients) {
        Variables saved = context->get_saved_variables();
        const Tensor &from = saved[0], &means = saved[1], &inverse = saved[2], &weight = saved[3];
        Drops drops = Drops::of(context);
        bool added = context->saved_data["added"].toBool();
        Tensor of_out = gradients[0].defined() ? gradients[0].contiguous() : at::zeros_like(from);
        Tensor of_sum = added && gradients[1].defined() ? gradients[1].contiguous() : Tensor();
        int64_t dim = from.size(-1), rows = from.numel() / dim;
        Tensor of_x = at::empty_like(from);
        Tensor of_added = added && drops.least > 0 ? at::empty_like(from) : Tensor();
        Tensor columns = rows > 0 ? at::empty({2, dim}, from.options()) : at::zeros({2, dim}, from.options());
        launch_with(index_of(from), "croloss_norm_back", rows * WARP, data(from), data(means), data(inverse),
                    data(weight), data(of_out), data(of_sum), data(of_x), data(of_added), data(columns), rows,
                    int(dim), drops.seed, drops.least, drops.kept);
        int64_t numbers = (rows + 31) / 32 * dim;
        launch_with(index_of(from), "croloss_norm_columns", numbers, data(from), data(means), data(inverse),
                    data(of_out), data(columns), numbers, rows, int(dim));
        if (added && !of_added.defined()) {
            of_added = of_x;
        }
        return {of_x, of_added, columns[0], columns[1], {}, {}, {}};
    }
};

// Causal attention: of queries, keys and values [positions, 3·dim] what each position sees, [positions, dim]. Where
// `position` and `place` are given positions are packed, else they are those of the padded form.
struct Attend : torch::autograd::Function<Attend> {
    static Tensor forward(Context* context, const Tensor& given, const std::optional<Tensor>& position,
                          const std::optional<Tensor>& place, int64_t histories, int64_t longest, int64_t heads,
                          double rate, int64_t seed) {
        Drops drops(rate, seed);
        Tensor together = given.contiguous();
        int64_t positions = together.size(0), dim = together.size(1) / 3, each = dim / heads;
        int device = index_of(together);
        float factor = static_cast<float>(1 / std::sqrt(static_cast<double>(each)));
        Tensor of_places = position.value_or(Tensor()), of_positions = place.value_or(Tensor());
        Tensor apart = at::empty({3, histories * heads, longest, each}, together.options());
        launch_with(device, "croloss_split", apart.numel(), data(together), data(of_places), data(apart),
                    apart.numel(), histories, int(heads), int(longest), int(each), factor);
        Tensor weights = at::bmm(apart[0], apart[1].transpose(1, 2));
        Tensor left = drops.least > 0 ? at::empty_like(weights) : Tensor();
        int64_t rows = histories * heads * longest;
        launch_with(device, "croloss_attend", rows * WARP, data(weights), data(left), rows, int(longest), drops.seed,
                    drops.least, drops.kept);
        left = left.defined() ? left : weights;
        Tensor seen = at::bmm(left, apart[2]);
        Tensor out = at::empty({positions, dim}, together.options());
        launch_with(device, "croloss_merge", out.numel(), data(seen), data(of_positions), data(out), out.numel(),
                    int(heads), int(longest), int(each));
        context->save_for_backward({apart, weights, left, of_places, of_positions});
        context->saved_data["histories"] = histories;
        context->saved_data["heads"] = heads;
        context->saved_data["factor"] = double(factor);
        drops.keep(context, rate);
        return out;
    }

    static Variables backward(Context* context, Variables gradients) {
        Variables saved = context->get_saved_variables();
        const Tensor &apart = saved[0], &weights = saved[1], &left = saved[2], &of_places = saved[3];
        const Tensor& of_positions = saved[4];
        Drops drops = Drops::of(context);
        int64_t histories = context->saved_data["histories"].toInt(), heads = context->saved_data["heads"].toInt();
        int64_t longest = apart.size(2), each = apart.size(3);
        Tensor gradient = gradients[0].contiguous();
        int device = index_of(gradient);
        Tensor of_seen = at::empty_like(apart[0]);
        launch_with(device, "croloss_merge_back", of_seen.numel(), data(gradient), data(of_places), data(of_positions),
                    data(of_seen), of_seen.numel(), int(heads), int(longest), int(each));
        Tensor back = at::empty_like(apart);
        Tensor of_queries = back[0], of_keys = back[1], of_values = back[2];
        at::bmm_out(of_values, left.transpose(1, 2), of_seen);
        Tensor of_scores = at::bmm(of_seen, apart[2].transpose(1, 2));
        int64_t rows = histories * heads * longest;
        launch_with(device, "croloss_attend_back", rows * WARP, data(weights), data(of_scores), rows, int(longest),
                    drops.seed, drops.least, drops.kept);
        at::bmm_out(of_queries, of_scores, apart[1]);
        at::bmm_out(of_keys, of_scores.transpose(1, 2), apart[0]);
        Tensor together = at::empty({gradient.size(0), 3 * gradient.size(1)}, gradient.options());
        launch_with(device, "croloss_split_back", together.numel(), data(back), data(of_positions), data(together),
                    together.numel(), histories, int(heads), int(longest), int(each),
                    float(context->saved_data["factor"].toDouble()));
        return {together, {}, {}, {}, {}, {}, {}, {}};
    }
};

// Tensors that begin with a dimension of layers, in pieces by layer: all of the first, then all of the next. The way
// back puts all gradients together at once.
struct Layers : torch::autograd::Function<Layers> {
    static Variables forward(Context* context, at::TensorList stacked) {
        Variables all;
        for (const Tensor& own : stacked) {
            for (const Tensor& layer : own.unbind(0)) {
                all.push_back(layer.detach());
            }
        }
        context->save_for_backward(stacked.vec());
        context->set_materialize_grads(false);
        return all;
    }

    static Variables backward(Context* context, Variables gradients) {
        std::vector<Tensor> flat;
        for (const Tensor& gradient : gradients) {
            TORCH_CHECK(gradient.defined(), "a layer has no gradient");
            flat.push_back(gradient.reshape(-1));
        }
        Tensor whole = at::cat(flat);
        Variables back;
        int64_t from = 0;
        for (const Tensor& own : context->get_saved_variables()) {
            back.push_back(whole.narrow(0, from, own.numel()).view(own.sizes()));
            from += own.numel();
        }
        return back;
    }
};

std::vector<Tensor> list(Tensor** tensors, size_t count) {
    std::vector<Tensor> all;
    for (size_t at = 0; at < count; at++) {
        all.push_back(*tensors[at]);
    }
    return all;
}

std::optional<Tensor> maybe(const Tensor* tensor) {
    return tensor == nullptr ? std::nullopt : std::optional<Tensor>(*tensor);
}

}  // namespace

extern "C" {

const char* croloss_fused_embed(Tensor* rows, Tensor* positions, Tensor* from_end, double factor, double rate,
                                int64_t seed, Tensor** out) {
    return croloss::told([&] {
        *out = new Tensor(Embed::apply(rows->contiguous(), *positions, *from_end, factor, rate, seed));
    });
}

const char* croloss_fused_relu(Tensor* x, double rate, int64_t seed, Tensor** out) {
    return croloss::told([&] { *out = new Tensor(Relu::apply(*x, rate, seed)); });
}

// Two new tensors: what is normalised, and the sum, which is x where nothing is added.
const char* croloss_fused_norm(Tensor* x, Tensor* added, Tensor* weight, Tensor* bias, double epsilon, double rate,
                               int64_t seed, Tensor** out) {
    return croloss::told([&] {
        Variables both = Norm::apply(*x, maybe(added), *weight, *bias, epsilon, rate, seed);
        out[0] = new Tensor(both[0]);
        out[1] = new Tensor(added == nullptr ? *x : both[1]);
    });
}

const char* croloss_fused_attend(Tensor* together, Tensor* position, Tensor* place, int64_t histories, int64_t longest,
                                 int64_t heads, double rate, int64_t seed, Tensor** out) {
    return croloss::told([&] {
        *out = new Tensor(
            Attend::apply(*together, maybe(position), maybe(place), histories, longest, heads, rate, seed));
    });
}

// As many new tensors as all of `stacked` have layers.
const char* croloss_fused_layers(Tensor** stacked, size_t count, Tensor** out) {
    return croloss::told([&] {
        std::vector<Tensor> all = list(stacked, count);
        for (const Tensor& layer : Layers::apply(at::TensorList(all))) {
            *out++ = new Tensor(layer);
        }
    });
}
}
