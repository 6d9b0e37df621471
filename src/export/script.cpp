// What tch lacks: making a TorchScript module from source text and parameters. Errors are handed
// back as text, because an exception must not leave C++.

#include <torch/script.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <ostream>
#include <streambuf>
#include <string>

// A file that keeps its first error to itself: libtorch, told of one, ends the process.
class File : public std::streambuf {
public:
  explicit File(const char *path) : fd(::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    note(fd < 0);
  }
  ~File() override { close(); }

  // The error, 0 if there was none.
  int close() {
    if (fd >= 0) {
      note(::close(fd) < 0);
      fd = -1;
    }
    return failed;
  }

protected:
  std::streamsize xsputn(const char *bytes, std::streamsize count) override {
    for (std::streamsize done = 0; done < count && failed == 0;) {
      ssize_t written = ::write(fd, bytes + done, count - done);
      if (written < 0 && errno == EINTR) {
        continue;
      }
      note(written < 0);
      done += written;
    }
    return count;
  }

  int overflow(int byte) override {
    char one = static_cast<char>(byte);
    xsputn(&one, 1);
    return 0;
  }

private:
  void note(bool error) {
    if (error && failed == 0) {
      failed = errno;
    }
  }

  int fd;
  int failed = 0;
};

static int refuse(const char *what, char *error, size_t error_size) {
  std::strncpy(error, what, error_size - 1);
  error[error_size - 1] = '\0';
  return 1;
}

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
    File file(path);
    std::ostream out(&file);
    module.save(out, extra);
    int failed = file.close();
    return failed == 0 ? 0 : refuse(std::strerror(failed), error, error_size);
  } catch (const std::exception &e) {
    return refuse(e.what(), error, error_size);
  }
}
