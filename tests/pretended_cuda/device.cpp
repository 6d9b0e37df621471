// Which devices there are, and what libtorch asks of CUDA as a whole.
#include "graph.h"
#include "pretended.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace pretended {
namespace {

thread_local c10::DeviceIndex current = 0;

// Of each device the stream that this thread launches on.
thread_local c10::StreamId streams[64] = {};

// Of the devices that there are, as many as CUDA_VISIBLE_DEVICES names before one that is not there.
c10::DeviceIndex visible() {
    auto there = static_cast<c10::DeviceIndex>(setting("PRETENDED_CUDA_DEVICES", 2));
    const char* names = std::getenv("CUDA_VISIBLE_DEVICES");
    if (names == nullptr) {
        return there;
    }
    c10::DeviceIndex count = 0;
    for (const char* rest = names; *rest != '\0';) {
        char* end;
        long index = std::strtol(rest, &end, 10);
        if (end == rest || index < 0 || index >= there) {
            break;
        }
        count++;
        rest = *end == ',' ? end + 1 : end;
    }
    return count;
}

}  // namespace

size_t setting(const char* name, size_t otherwise) {
    const char* value = std::getenv(name);
    return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

c10::DeviceIndex device_count() {
    static c10::DeviceIndex count = visible();
    return count;
}

c10::DeviceIndex current_device() { return current; }

c10::StreamId current_stream() { return streams[current]; }

namespace {

void check(c10::DeviceIndex index) {
    TORCH_CHECK(index >= 0 && index < device_count(), "CUDA error: invalid device ordinal");
}

// What is launched later runs later, on whatever stream; counted is what is not on the default one. Another one is for
// what is recorded.
struct Guard final : c10::impl::DeviceGuardImplInterface {
    c10::DeviceType type() const override { return c10::kCUDA; }
    c10::Device exchangeDevice(c10::Device device) const override {
        c10::Device before = getDevice();
        setDevice(device);
        return before;
    }
    c10::Device getDevice() const override { return {c10::kCUDA, current}; }
    void setDevice(c10::Device device) const override {
        check(device.index());
        current = device.index();
    }
    void uncheckedSetDevice(c10::Device device) const noexcept override { current = device.index(); }
    c10::Stream getStream(c10::Device device) const override {
        return c10::Stream(c10::Stream::UNSAFE, of(device), streams[of(device).index()]);
    }
    c10::Stream getDefaultStream(c10::Device device) const override {
        return c10::Stream(c10::Stream::DEFAULT, of(device));
    }
    c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override {
        return c10::Stream(c10::Stream::UNSAFE, of(device), 1);
    }
    c10::Stream getNewStream(c10::Device device, int) const override { return getStreamFromGlobalPool(device, false); }
    c10::Stream exchangeStream(c10::Stream stream) const override {
        c10::Stream before = getStream(stream.device());
        streams[stream.device_index()] = stream.id();
        return before;
    }
    void* getStreamNativeHandle(const c10::Stream stream) const override {
        return reinterpret_cast<void*>(stream.id());
    }
    c10::DeviceIndex deviceCount() const noexcept override { return device_count(); }
    // An event is the number of its stream and one more.
    void record(void** event, const c10::Stream& stream, const c10::DeviceIndex,
                const c10::EventFlag) const override {
        *event = reinterpret_cast<void*>(stream.id() + 1);
    }
    void block(void* event, const c10::Stream& stream) const override {
        bool of_default = event == nullptr || reinterpret_cast<c10::StreamId>(event) == 1;
        refuse_tied(of_default, stream.id() == 0);
    }
    bool queryEvent(void*) const override { return true; }
    void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
    bool queryStream(const c10::Stream&) const override { return true; }
    void synchronizeStream(const c10::Stream&) const override { wait("stream"); }
    void synchronizeEvent(void*) const override { wait("event"); }
    void synchronizeDevice(const c10::DeviceIndex) const override { wait("device"); }
    void recordDataPtrOnStream(const c10::DataPtr&, const c10::Stream&) const override {}

   private:
    static void wait(const char* what) {
        refuse_recorded(what);
        count(SYNCHRONIZATIONS, what);
    }
    static c10::Device of(c10::Device device) {
        return device.index() < 0 ? c10::Device(c10::kCUDA, current) : device;
    }
};

struct CUDAHooks final : at::CUDAHooksInterface {
    explicit CUDAHooks(at::CUDAHooksArgs) {}
    void init() const override {}
    bool hasCUDA() const override { return device_count() > 0; }
    bool hasCUDART() const override { return true; }
    bool hasCuDNN() const override { return true; }
    bool compiledWithCuDNN() const override { return true; }
    long versionCuDNN() const override { return 91900; }
    bool isBuilt() const override { return true; }
    bool isAvailable() const override { return device_count() > 0; }
    c10::DeviceIndex deviceCount() const override { return device_count(); }
    int getNumGPUs() const override { return device_count(); }
    c10::DeviceIndex current_device() const override { return current; }
    c10::DeviceIndex getCurrentDevice() const override { return current; }
    void setCurrentDevice(c10::DeviceIndex index) const override {
        check(index);
        current = index;
    }
    c10::DeviceIndex exchangeDevice(c10::DeviceIndex index) const override {
        auto before = current;
        setCurrentDevice(index);
        return before;
    }
    c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex index) const override { return exchangeDevice(index); }
    bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
    bool isPinnedPtr(const void* address) const override { return is_pinned(address); }
    c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_memory(); }
    c10::Allocator* getCUDADeviceAllocator() const override { return &device_memory(); }
    at::Device getDeviceFromPtr(void*) const override { return {c10::kCUDA, current}; }
    void deviceSynchronize(c10::DeviceIndex) const override {
        refuse_recorded("device");
        count(SYNCHRONIZATIONS, "device");
        write_counts("synchronize");
    }
    // Draws of a device are not those of the host, though the numbers come from the same generator.
    const at::Generator& getDefaultGenerator(c10::DeviceIndex index) const override {
        static auto* generators = [] {
            auto* all = new std::vector<at::Generator>();
            for (c10::DeviceIndex device = 0; device < device_count(); device++) {
                all->push_back(at::detail::createCPUGenerator());
            }
            return all;
        }();
        return generators->at(index < 0 ? current : index);
    }
    at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::detail::createCPUGenerator(); }
};

}  // namespace

C10_REGISTER_GUARD_IMPL(CUDA, Guard)

using at::CUDAHooksRegistry;
using at::RegistererCUDAHooksRegistry;
REGISTER_CUDA_HOOKS(CUDAHooks)

}  // namespace pretended

// For tests: this thread launches on stream `id` of the current device.
extern "C" void pretended_cuda_use_stream(long id) { pretended::streams[pretended::current] = id; }
