// Compiles kernels.cu and what follows it by NVRTC, the first time that a device is asked for, and launches its kernels by
// NVIDIA's driver. Neither is linked: both are there where libtorch's CUDA is.
#include "kernels.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstring>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace croloss {
namespace {

// libtorch's own way to NVRTC and to the driver, of whatever version: it is linked with both.
constexpr const char* LIBRARY = "libcaffe2_nvrtc.so";

constexpr unsigned BLOCK = 256;

// Calls a function of a library that hands back 0 for success.
template <class... Arguments>
void call(void* library, const char* name, Arguments... arguments) {
    auto* function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library, name));
    if (function == nullptr) {
        throw std::runtime_error(std::string(name) + " is missing");
    }
    if (int status = function(arguments...)) {
        throw std::runtime_error(std::string(name) + " failed with status " + std::to_string(status));
    }
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
std::vector<std::string> names(const std::string& source) {
    const std::string before = "__global__ void ";
    std::vector<std::string> all;
    for (size_t at = source.find(before); at != std::string::npos; at = source.find(before, at)) {
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

// The kernels on one device.
struct Kernels {
    void* driver = nullptr;
    void* context = nullptr;
    void* module = nullptr;
    std::map<std::string, void*> functions;
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
        for (const std::string& name : names(source)) {
            call(driver, "cuModuleGetFunction", &functions[name], module, name.c_str());
        }
    }

    // A thread of libtorch may not have entered it yet.
    void enter() {
        void* current = nullptr;
        call(driver, "cuCtxGetCurrent", &current);
        if (current != context) {
            call(driver, "cuCtxSetCurrent", context);
        }
    }
};

std::mutex lock;
const char* source = nullptr;

Kernels& of(int device) {
    // Never freed: threads of libtorch may launch until the very end.
    static auto* all = new std::map<int, std::unique_ptr<Kernels>>();
    auto& own = (*all)[device];
    if (!own) {
        own = std::make_unique<Kernels>(source, device);
    }
    return *own;
}

}  // namespace

void launch(int device, const char* name, int64_t elements, void** arguments) {
    if (elements == 0) {
        return;
    }
    c10::DeviceGuard on(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device)));
    std::lock_guard<std::mutex> guard(lock);
    Kernels& kernels = of(device);
    kernels.enter();
    void* function = kernels.functions.at(name);
    c10::Stream stream = c10::impl::VirtualGuardImpl(c10::kCUDA).getStream(on.current_device());
    // The default stream, of number 0, has no handle.
    void* handle = stream.id() == 0 ? nullptr : stream.native_handle();
    auto blocks = static_cast<unsigned>((elements + BLOCK - 1) / BLOCK);
    call(kernels.driver, "cuLaunchKernel", function, blocks, 1u, 1u, BLOCK, 1u, 1u, 0u, handle, arguments,
         static_cast<void**>(nullptr));
}

}  // namespace croloss

extern "C" {

// Why a device has no kernels; `source`, which must last, is that of them.
const char* croloss_kernels_missing(int device, const char* source) {
    return croloss::told([&] {
        std::lock_guard<std::mutex> guard(croloss::lock);
        croloss::source = source;
        if (const auto& missing = croloss::of(device).missing; !missing.empty()) {
            throw std::runtime_error(missing);
        }
    });
}

const char* croloss_launch(int device, const char* name, int64_t elements, void** arguments) {
    return croloss::told([&] { croloss::launch(device, name, elements, arguments); });
}

// Compiles only, by the NVRTC of this path.
const char* croloss_kernels_compile(const char* nvrtc, const char* source, const char* architecture) {
    return croloss::told([&] { croloss::compile(croloss::open(nvrtc), source, architecture); });
}
}
