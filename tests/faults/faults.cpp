// Put before the program by LD_PRELOAD: lets one of its file operations fail, or kills it there.
//
// FAULT_BELOW   the folder whose operations are counted, itself included
// FAULT_AT      which of them, from 1; 0 counts only
// FAULT_HOW     kill: before it; half: after half the bytes of a write, when only writes count; or
//               the number of an error
// FAULT_LASTS   set: every one from there on
// FAULT_REPORT  a file that gets a line for each operation that is counted

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <string>

namespace {

enum class Kind {
  // Puts bytes into a file.
  Write,
  // Needs room on the disk for a name.
  Name,
  // Needs none: a full disk does not keep it from being done.
  Free,
};

struct Plan {
  std::string below = text("FAULT_BELOW"), how = text("FAULT_HOW"), report = text("FAULT_REPORT");
  long at = atol(text("FAULT_AT").c_str());
  bool lasts = getenv("FAULT_LASTS") != nullptr, kills = how == "kill", half = how == "half";
  int error = kills || half ? 0 : atoi(how.c_str());

  static std::string text(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
  }

  bool counts(Kind kind, const std::string &path) const {
    if (below.empty() || path.compare(0, below.size(), below) != 0 ||
        (path.size() > below.size() && path[below.size()] != '/')) {
      return false;
    }
    return half ? kind == Kind::Write : error != ENOSPC || kind != Kind::Free;
  }
};

const Plan &plan() {
  static const Plan own;
  return own;
}

std::string read_link(const std::string &link) {
  char path[PATH_MAX];
  ssize_t length = readlink(link.c_str(), path, sizeof path);
  return std::string(path, length < 0 ? 0 : length);
}

std::string of_file(int file) { return read_link("/proc/self/fd/" + std::to_string(file)); }

std::string of_path(int folder, const char *path) {
  if (path[0] == '/') {
    return path;
  }
  return (folder == AT_FDCWD ? read_link("/proc/self/cwd") : of_file(folder)) + "/" + path;
}

// Not by functions that are replaced here.
void report(long number, const char *what, const std::string &path, bool faulty) {
  if (plan().report.empty()) {
    return;
  }
  std::string line = std::to_string(number) + (faulty ? " FAULT " : " ") + what + " " + path + "\n";
  int file = syscall(SYS_openat, AT_FDCWD, plan().report.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  syscall(SYS_write, file, line.data(), line.size());
  syscall(SYS_close, file);
}

[[noreturn]] void die() {
  for (;;) {
    syscall(SYS_kill, getpid(), SIGKILL);
  }
}

// Counts an operation; whether it is to fail, `errno` being set.
bool fails(Kind kind, const char *what, const std::string &path) {
  static std::atomic<long> counted{0};
  if (!plan().counts(kind, path)) {
    return false;
  }
  long number = ++counted, at = plan().at;
  bool faulty = at > 0 && (number == at || (plan().lasts && number > at));
  report(number, what, path, faulty);
  if (faulty && plan().kills) {
    die();
  }
  errno = plan().error;
  return faulty;
}

// The function that is replaced.
template <typename F> F real(const char *name, F) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

bool writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)); }

Kind kind_of_open(int flags) { return flags & O_CREAT ? Kind::Name : Kind::Free; }

} // namespace

#define REAL(name) real(#name, &name)

// What comes by a variable argument list is the mode.
#define MODE(flags)                                                                                \
  mode_t mode = 0;                                                                                 \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                                                           \
    va_list more;                                                                                  \
    va_start(more, flags);                                                                         \
    mode = va_arg(more, mode_t);                                                                   \
    va_end(more);                                                                                  \
  }

#define OPEN(name)                                                                                 \
  int name(const char *path, int flags, ...) {                                                     \
    MODE(flags)                                                                                    \
    if (writes(flags) && fails(kind_of_open(flags), "open", of_path(AT_FDCWD, path))) {            \
      return -1;                                                                                   \
    }                                                                                              \
    return REAL(name)(path, flags, mode);                                                          \
  }

#define OPENAT(name)                                                                               \
  int name(int folder, const char *path, int flags, ...) {                                         \
    MODE(flags)                                                                                    \
    if (writes(flags) && fails(kind_of_open(flags), "open", of_path(folder, path))) {              \
      return -1;                                                                                   \
    }                                                                                              \
    return REAL(name)(folder, path, flags, mode);                                                  \
  }

#define FOPEN(name)                                                                                \
  FILE *name(const char *path, const char *mode) {                                                 \
    if (strpbrk(mode, "wa+") && fails(Kind::Name, "open", of_path(AT_FDCWD, path))) {              \
      return nullptr;                                                                              \
    }                                                                                              \
    return REAL(name)(path, mode);                                                                 \
  }

// A write of half of its bytes is the last thing that the process does.
#define WRITE(name, file, partly, arguments)                                                       \
  if (fails(Kind::Write, "write", of_file(file))) {                                                \
    if (plan().half) {                                                                             \
      partly;                                                                                      \
      die();                                                                                       \
    }                                                                                              \
    return -1;                                                                                     \
  }                                                                                                \
  return REAL(name) arguments

#define AT_FILE(name, kind, parameters, file, arguments)                                           \
  int name parameters {                                                                            \
    return fails(kind, #name, of_file(file)) ? -1 : REAL(name) arguments;                          \
  }

#define AT_PATH(name, kind, parameters, path, arguments)                                           \
  int name parameters { return fails(kind, #name, path) ? -1 : REAL(name) arguments; }

extern "C" {

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int file, const void *bytes, size_t count) {
  WRITE(write, file, (void)!REAL(write)(file, bytes, count / 2), (file, bytes, count));
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  WRITE(pwrite, file, (void)!REAL(pwrite)(file, bytes, count / 2, at), (file, bytes, count, at));
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  WRITE(pwrite64, file, (void)!REAL(pwrite64)(file, bytes, count / 2, at), (file, bytes, count, at));
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  WRITE(writev, file, (void)!REAL(write)(file, parts->iov_base, parts->iov_len / 2), (file, parts, count));
}

ssize_t copy_file_range(int from, off64_t *at, int file, off64_t *to, size_t count, unsigned flags) {
  WRITE(copy_file_range, file, , (from, at, file, to, count, flags));
}

AT_FILE(fsync, Kind::Free, (int file), file, (file))
AT_FILE(fdatasync, Kind::Free, (int file), file, (file))
AT_FILE(ftruncate, Kind::Free, (int file, off_t size), file, (file, size))
AT_FILE(ftruncate64, Kind::Free, (int file, off64_t size), file, (file, size))
AT_PATH(mkdir, Kind::Name, (const char *path, mode_t mode), of_path(AT_FDCWD, path), (path, mode))
AT_PATH(rmdir, Kind::Free, (const char *path), of_path(AT_FDCWD, path), (path))
AT_PATH(unlink, Kind::Free, (const char *path), of_path(AT_FDCWD, path), (path))
AT_PATH(unlinkat, Kind::Free, (int folder, const char *path, int flags), of_path(folder, path),
        (folder, path, flags))
AT_PATH(rename, Kind::Free, (const char *from, const char *to), of_path(AT_FDCWD, to), (from, to))
AT_PATH(link, Kind::Name, (const char *from, const char *to), of_path(AT_FDCWD, to), (from, to))
AT_PATH(linkat, Kind::Name, (int a, const char *from, int b, const char *to, int flags),
        of_path(b, to), (a, from, b, to, flags))
}
