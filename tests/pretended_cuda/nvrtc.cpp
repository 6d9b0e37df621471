// NVRTC and the driver's half that launches kernels: sources of CUDA C are compiled as C++ (prelude.h), and every thread
// of a grid runs on the host.
//
//   PRETENDED_CUDA_NVRTC   0: there is none
//   PRETENDED_CUDA_BROKEN  the device on which every kernel fails
#include "graph.h"
#include "prelude.h"
#include "pretended.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace {

using Behind = void* (*)(void*);
using Grid = void (*)(unsigned blocks, unsigned threads, void** values, Behind behind);

struct Program {
    std::string source;
    std::string image;
    std::string log;
};

struct Function {
    std::string name;
    Grid grid;
    // Of each argument, and a 0 behind them.
    const size_t* sizes;
};

// An argument's own copy of what it was given.
using Value = std::vector<char>;

std::vector<Value> copied(const Function& function, void** values) {
    std::vector<Value> all;
    for (const size_t* size = function.sizes; *size != 0; size++, values++) {
        all.emplace_back(static_cast<char*>(*values), static_cast<char*>(*values) + *size);
    }
    return all;
}

// Beside this library; one of the same source is taken again.
std::string image_path(const std::string& source) {
    Dl_info info;
    dladdr(reinterpret_cast<void*>(&image_path), &info);
    std::string own = info.dli_fname;
    return own.substr(0, own.rfind('/')) + "/kernels-" + std::to_string(std::hash<std::string>()(source)) + ".so";
}

// A machine's instruction for fmaf, where it has one, is many times as fast as the function.
const char* fmaf_option() {
#ifdef __x86_64__
    return __builtin_cpu_supports("fma") ? "-mfma" : "";
#else
    return "";
#endif
}

std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

extern "C" {

int nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char**, const char**) {
    if (pretended::setting("PRETENDED_CUDA_NVRTC", 1) == 0) {
        return 1;
    }
    *program = new Program{source, "", ""};
    return 0;
}

int nvrtcCompileProgram(Program* program, int, const char**) {
    std::string source = PRELUDE + program->source;
    std::regex kernel("extern \"C\" __global__ void (\\w+)\\(");
    auto begin = std::sregex_iterator(program->source.begin(), program->source.end(), kernel);
    for (auto found = begin; found != std::sregex_iterator(); ++found) {
        std::string name = (*found)[1];
        // Kernels whose threads exchange numbers ask which lane they are.
        size_t from = found->position(), next = program->source.find("extern \"C\"", from + 1);
        bool exchanges = program->source.substr(from, next - from).find("LANE") != std::string::npos;
        source += "extern \"C\" void grid_" + name +
                  "(unsigned blocks, unsigned threads, void** values, void* (*behind)(void*)) { grid(" +
                  (exchanges ? "true" : "false") + ", &" + name + ", blocks, threads, values, behind); }\n" +
                  "extern \"C\" const size_t* sizes_" + name + "() { return sizes(&" + name + "); }\n";
    }
    const char* fused = fmaf_option();
    program->image = image_path(fused + source);
    if (access(program->image.c_str(), R_OK) == 0) {
        return 0;
    }
    std::string own = program->image + "." + std::to_string(getpid());
    std::ofstream(own + ".cpp") << source;
    const char* compiler = std::getenv("CXX");
    std::string command = std::string(compiler ? compiler : "c++") + " -std=c++17 -O2 " + fused +
                          " -ffp-contract=off -fPIC -shared '" + own + ".cpp' -o '" + own + "' 2>'" + own + ".log'";
    int status = std::system(command.c_str());
    program->log = text_of(own + ".log");
    std::remove((own + ".cpp").c_str());
    std::remove((own + ".log").c_str());
    return status == 0 && std::rename(own.c_str(), program->image.c_str()) == 0 ? 0 : 6;
}

int nvrtcGetProgramLogSize(Program* program, size_t* size) {
    *size = program->log.size() + 1;
    return 0;
}

int nvrtcGetProgramLog(Program* program, char* log) {
    std::strcpy(log, program->log.c_str());
    return 0;
}

// What is handed out as the program's code is its path.
int nvrtcGetCUBINSize(Program* program, size_t* size) {
    *size = program->image.size() + 1;
    return 0;
}

int nvrtcGetCUBIN(Program* program, char* image) {
    std::strcpy(image, program->image.c_str());
    return 0;
}

int nvrtcDestroyProgram(Program** program) {
    delete *program;
    return 0;
}

// Of the failures below the one that tests ask for.
int cuGetErrorName(int status, const char** name) {
    *name = status == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : nullptr;
    return *name == nullptr ? 1 : 0;
}

int cuDeviceGet(int* device, int index) {
    *device = index;
    return index < pretended::device_count() ? 0 : 101;
}

int cuDeviceGetName(char* name, int size, int device) {
    std::snprintf(name, size, "pretended GPU %d", device);
    return 0;
}

int cuDeviceGetAttribute(int* value, int, int) {
    *value = 9;
    return 0;
}

int cuDevicePrimaryCtxRetain(void** context, int device) {
    *context = reinterpret_cast<void*>(intptr_t(device) + 1);
    return 0;
}

static thread_local void* current = nullptr;

int cuCtxGetCurrent(void** context) {
    *context = current;
    return 0;
}

int cuCtxSetCurrent(void* context) {
    current = context;
    return 0;
}

int cuModuleLoadDataEx(void** module, const void* image, unsigned, void*, void*) {
    *module = dlopen(static_cast<const char*>(image), RTLD_NOW);
    return *module == nullptr ? 200 : 0;
}

int cuModuleGetFunction(void** function, void* module, const char* name) {
    void* grid = dlsym(module, (std::string("grid_") + name).c_str());
    if (grid == nullptr) {
        return 500;
    }
    auto* sizes = reinterpret_cast<const size_t* (*)()>(dlsym(module, (std::string("sizes_") + name).c_str()));
    *function = new Function{name, reinterpret_cast<Grid>(grid), sizes()};
    return 0;
}

int cuLaunchKernel(Function* function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned,
                   unsigned, void* stream, void** values, void**) {
    if (current == nullptr) {
        return 201;
    }
    // Not where libtorch is: nothing would order the two.
    if (stream != reinterpret_cast<void*>(pretended::current_stream())) {
        return 400;
    }
    if (pretended::setting("PRETENDED_CUDA_BROKEN", SIZE_MAX) == size_t(pretended::current_device())) {
        return 700;
    }
    if (pretended::is_recorded()) {
        pretended::record([=, own = copied(*function, values)]() mutable {
            std::vector<void*> again;
            for (Value& value : own) {
                again.push_back(value.data());
            }
            function->grid(blocks, threads, again.data(), &pretended::behind);
        });
        return 0;
    }
    pretended::count(pretended::LAUNCHES, function->name);
    function->grid(blocks, threads, values, &pretended::behind);
    return 0;
}
}
