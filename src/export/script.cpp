// What tch lacks: making a TorchScript module from source text and parameters. Errors are handed
// back as text, because an exception must not leave C++.

#include <torch/script.h>

#include <cstring>
#include <exception>
#include <string>

extern "C" int croloss_save_script(const char *class_name, const char *source,
                                   const char *const *names, at::Tensor *const *parameters,
                                   size_t parameter_count, const char *const *extra_names,
                                   const char *const *extra_texts, size_t extra_count,
                                   const char *path, char *error, size_t error_size) {
  try {
    torch::jit::Module module(class_name);
    for (size_t i = 0; i < parameter_count; i++) {
      module.register_parameter(names[i], *parameters[i], /*is_buffer=*/false);
    }
    module.define(source);
    module.eval();
    torch::jit::ExtraFilesMap extra;
    for (size_t i = 0; i < extra_count; i++) {
      extra[extra_names[i]] = extra_texts[i];
    }
    module.save(path, extra);
    return 0;
  } catch (const std::exception &e) {
    std::strncpy(error, e.what(), error_size - 1);
    error[error_size - 1] = '\0';
    return 1;
  }
}
