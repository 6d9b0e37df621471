// Compiles kernels.cu and what follows it by NVRTC, the first time that a device is asked for, and launches its kernels by
// NVIDIA's driver. Neither is linked: both are there where libtorch's CUDA is.
#include "kernels.h"

#include <ATen/record_function.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <array>
#include <atomic>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace croloss {
namespace {

// libtorch's own way to NVRTC and to the driver, of whatever version: it is linked with both.
constexpr const char* LIBRARY = "libcaffe2_nvrtc.so";

constexpr unsigned BLOCK = 256;

template <class Function>
void find(void* library, const char* name, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(library, name));
    if (function == nullptr) {
        throw std::runtime_error(std::string(name) + " is missing");
    }
}

// Throws unless a function of a library handed back 0 for success; `kernel`: what it was to launch. Text is made of
// failures only, since every launch comes by here.
void check(void* library, int status, const char* function, const char* kernel = nullptr) {
    if (status == 0) {
        return;
    }
    // Of NVIDIA's driver a failure has a name, if the driver tells it.
    const char* name = nullptr;
    if (std::string_view(function).rfind("cu", 0) == 0) {
        auto* ask = reinterpret_cast<int (*)(int, const char**)>(dlsym(library, "cuGetErrorName"));
        if (ask != nullptr) {
            ask(status, &name);
        }
    }
    std::string what = kernel ? std::string(function) + " of " + kernel : function;
    std::string number = "status " + std::to_string(status);
    throw std::runtime_error(what + " failed with " + (name ? std::string(name) + ", " + number : number));
}

// Calls a function of a library.
template <class... Arguments>
void call(void* library, const char* name, Arguments... arguments) {
    int (*function)(Arguments...);
    find(library, name, function);
    check(library, function(arguments...), name);
}

void* open(const char* name) {
    void* library = dlopen(name, RTLD_NOW);
    if (library == nullptr) {
        throw std::runtime_error(dlerror());
    }
    return library;
}

// NVRTC finds its second half, which lies beside it, only where the system looks for libraries; or where it is loaded.
void load_builtins(void* nvrtc) {
    Dl_info info;
    void* inside = dlsym(nvrtc, "nvrtcCreateProgram");
    if (inside == nullptr || dladdr(inside, &info) == 0) {
        return;
    }
    std::error_code none;
    for (auto& file : std::filesystem::directory_iterator(std::filesystem::path(info.dli_fname).parent_path(), none)) {
        if (file.path().filename().string().rfind("libnvrtc-builtins.so", 0) == 0) {
            dlopen(file.path().c_str(), RTLD_NOW | RTLD_GLOBAL);
        }
    }
}

// Those of all kernels of a source.
std::vector<std::string_view> names(std::string_view source) {
    const std::string_view before = "__global__ void ";
    std::vector<std::string_view> all;
    for (size_t at = source.find(before); at != std::string_view::npos; at = source.find(before, at)) {
        at += before.size();
        all.push_back(source.substr(at, source.find('(', at) - at));
    }
    return all;
}

// A program for GPUs of an architecture, `sm_90`.
std::vector<char> compile(void* nvrtc, const char* source, const std::string& architecture) {
    load_builtins(nvrtc);
    void* program = nullptr;
    call(nvrtc, "nvrtcCreateProgram", &program, source, "kernels.cu", 0, nullptr, nullptr);
    std::string target = "--gpu-architecture=" + architecture;
    // Products and sums are rounded one by one, as in the tensor ops.
    const char* options[] = {target.c_str(), "--fmad=false"};
    try {
        call(nvrtc, "nvrtcCompileProgram", program, 2, static_cast<const char**>(options));
    } catch (std::exception& error) {
        size_t size = 0;
        call(nvrtc, "nvrtcGetProgramLogSize", program, &size);
        std::vector<char> log(size + 1);
        call(nvrtc, "nvrtcGetProgramLog", program, log.data());
        throw std::runtime_error(std::string(error.what()) + ": " + log.data());
    }
    size_t size = 0;
    call(nvrtc, "nvrtcGetCUBINSize", program, &size);
    std::vector<char> image(size);
    call(nvrtc, "nvrtcGetCUBIN", program, image.data());
    call(nvrtc, "nvrtcDestroyProgram", &program);
    return image;
}

// The kernels on one device, and what a launch calls: found once.
struct Kernels {
    void* driver = nullptr;
    void* context = nullptr;
    void* module = nullptr;
    int (*get_context)(void** context) = nullptr;
    int (*set_context)(void* context) = nullptr;
    int (*start)(void* function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned, unsigned,
                 void* stream, void** arguments, void** more) = nullptr;
    // By names within the source.
    std::unordered_map<std::string_view, void*> functions;
    // Why there are none; empty where there are.
    std::string missing;

    Kernels(const char* source, int device) {
        try {
            load(source, device);
        } catch (std::exception& error) {
            missing = error.what();
        }
    }

    void load(const char* source, int index) {
        driver = open(LIBRARY);
        find(driver, "cuCtxGetCurrent", get_context);
        find(driver, "cuCtxSetCurrent", set_context);
        find(driver, "cuLaunchKernel", start);
        int device = 0, major = 0, minor = 0;
        call(driver, "cuDeviceGet", &device, index);
        constexpr int MAJOR = 75, MINOR = 76;
        call(driver, "cuDeviceGetAttribute", &major, MAJOR, device);
        call(driver, "cuDeviceGetAttribute", &minor, MINOR, device);
        auto image = compile(driver, source, "sm_" + std::to_string(10 * major + minor));
        // The context that libtorch uses as well.
        call(driver, "cuDevicePrimaryCtxRetain", &context, device);
        enter();
        call(driver, "cuModuleLoadDataEx", &module, static_cast<void*>(image.data()), 0u, nullptr, nullptr);
        for (std::string_view name : names(source)) {
            call(driver, "cuModuleGetFunction", &functions[name], module, std::string(name).c_str());
        }
    }

    // A thread of libtorch may not have entered it yet.
    void enter() const {
        void* current = nullptr;
        check(driver, get_context(&current), "cuCtxGetCurrent");
        if (current != context) {
            check(driver, set_context(context), "cuCtxSetCurrent");
        }
    }

    void launch(const char* name, unsigned blocks, void* stream, void** arguments) const {
        enter();
        int status = start(functions.at(name), blocks, 1, 1, BLOCK, 1, 1, 0, stream, arguments, nullptr);
        check(driver, status, "cuLaunchKernel", name);
    }
};

std::atomic<const char*> source = nullptr;

const Kernels& of(int device) {
    struct Place {
        std::once_flag made;
        std::unique_ptr<Kernels> kernels;
    };
    // As many as libtorch can count. Never freed: its threads may launch until the very end.
    static auto* all = new std::array<Place, 128>();
    Place& own = all->at(device);
    std::call_once(own.made, [&] { own.kernels = std::make_unique<Kernels>(source, device); });
    return *own.kernels;
}

}  // namespace

void launch(int device, const char* name, int64_t elements, void** arguments) {
    if (elements == 0) {
        return;
    }
    // Whoever counts operations sees it beside those of libtorch.
    at::RecordFunction record;
    if (record.isActive()) {
        record.before(std::string_view(name));
    }
    c10::DeviceGuard on(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device)));
    c10::Stream stream = c10::impl::VirtualGuardImpl(c10::kCUDA).getStream(on.current_device());
    // The default stream, of number 0, has no handle.
    void* handle = stream.id() == 0 ? nullptr : stream.native_handle();
    of(device).launch(name, static_cast<unsigned>((elements + BLOCK - 1) / BLOCK), handle, arguments);
}

}  // namespace croloss

extern "C" {

// Why a device has no kernels; `source`, which must last, is that of them.
const char* croloss_kernels_missing(int device, const char* source) {
    croloss::source = source;
    const std::string& missing = croloss::of(device).missing;
    return missing.empty() ? nullptr : missing.c_str();
}

const char* croloss_launch(int device, const char* name, int64_t elements, void** arguments) {
    return croloss::told([&] { croloss::launch(device, name, elements, arguments); });
}

// What the driver calls a GPU, by CUDA's number of it, with a zero behind it.
const char* croloss_gpu_name(int index, char* name, int size) {
    return croloss::told([&] {
        void* driver = croloss::open(croloss::LIBRARY);
        int device = 0;
        croloss::call(driver, "cuDeviceGet", &device, index);
        croloss::call(driver, "cuDeviceGetName", name, size, device);
    });
}

// Compiles only, by the NVRTC of this path.
const char* croloss_kernels_compile(const char* nvrtc, const char* source, const char* architecture) {
    return croloss::told([&] { croloss::compile(croloss::open(nvrtc), source, architecture); });
}
}
