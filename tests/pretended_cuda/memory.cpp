// Memory of the devices, and pinned memory of the host.
//
// A device's memory is reserved twice, at two places of the address space: in front, where tensors point to,
// nobody may read or write; behind, at a fixed distance, is the memory itself, and only kernels go there. A host
// that touches a device address ends with a SIGSEGV, and on standard error stands from where.
#include "graph.h"
#include "pretended.h"

#include <c10/util/Exception.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace pretended {
namespace {

constexpr size_t PAGE = 4096;

// Places of one size are used again; whole pages each.
struct Pool {
    char* start = nullptr;
    size_t size = 0;
    size_t used = 0;
    size_t peak = 0;
    // The same since somebody last asked for it.
    size_t peak_since = 0;
    std::mutex lock;
    size_t fresh = 0;
    std::map<size_t, std::vector<size_t>> free;
    std::map<size_t, size_t> taken;

    bool holds(const void* address) const {
        return address >= start && address < start + size;
    }

    // The offset of `bytes`, or `size` if there is no room.
    size_t take(size_t bytes) {
        std::lock_guard<std::mutex> guard(lock);
        size_t whole = (bytes + PAGE - 1) / PAGE * PAGE;
        auto& places = free[whole];
        size_t offset = fresh;
        if (!places.empty()) {
            offset = places.back();
            places.pop_back();
        } else if (whole <= size - fresh) {
            fresh += whole;
        } else {
            return size;
        }
        taken[offset] = whole;
        used += whole;
        peak = std::max(peak, used);
        peak_since = std::max(peak_since, used);
        return offset;
    }

    void give_back(void* address) {
        std::lock_guard<std::mutex> guard(lock);
        size_t offset = static_cast<char*>(address) - start;
        size_t whole = taken.at(offset);
        taken.erase(offset);
        free[whole].push_back(offset);
        used -= whole;
    }
};

void* reserve(size_t size, int rights) {
    void* start = mmap(nullptr, size, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TORCH_CHECK(start != MAP_FAILED, "pretended cuda: no address space for ", size, " bytes");
    return start;
}

void on_fault(int, siginfo_t*, void*);

struct sigaction fault_before;

struct Memory {
    // All devices side by side: in front, and how far behind the memory is.
    char* front;
    ptrdiff_t distance;
    size_t size;
    std::vector<std::unique_ptr<Pool>> devices;
    Pool pinned;

    Memory() {
        size_t each = setting("PRETENDED_CUDA_MIB", 4096) << 20;
        size = each * device_count();
        front = static_cast<char*>(reserve(size + PAGE, PROT_NONE));
        distance = static_cast<char*>(reserve(size + PAGE, PROT_READ | PROT_WRITE)) - front;
        for (c10::DeviceIndex device = 0; device < device_count(); device++) {
            devices.push_back(std::make_unique<Pool>());
            devices.back()->start = front + device * each;
            devices.back()->size = each;
        }
        pinned.size = size_t(1) << 30;
        pinned.start = static_cast<char*>(reserve(pinned.size, PROT_READ | PROT_WRITE));
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(SIGSEGV, &action, &fault_before);
    }

    bool holds(const void* address) const { return address >= front && address < front + size; }
};

// Never freed: tensors may outlive whatever ends a process.
Memory& memory() {
    static auto* memory = new Memory();
    return *memory;
}

void on_fault(int, siginfo_t* info, void*) {
    if (memory().holds(info->si_addr)) {
        const char words[] = "pretended cuda: the host touched device memory, from:\n";
        (void)!write(STDERR_FILENO, words, sizeof words - 1);
        void* frames[40];
        backtrace_symbols_fd(frames, backtrace(frames, 40), STDERR_FILENO);
    }
    // The instruction is tried once more and meets whoever was asked before.
    sigaction(SIGSEGV, &fault_before, nullptr);
}

void free_on_device(void* address) {
    for (auto& pool : memory().devices) {
        if (pool->holds(address)) {
            pool->give_back(address);
        }
    }
}

void leave(void*) {}

struct DeviceMemory final : c10::DeviceAllocator {
    c10::DataPtr allocate(size_t bytes) override {
        c10::Device device(c10::kCUDA, current_device());
        if (bytes == 0) {
            return {nullptr, device};
        }
        Pool& pool = *memory().devices[device.index()];
        size_t offset = pool.take(bytes);
        TORCH_CHECK_WITH(OutOfMemoryError, offset < pool.size, "CUDA out of memory. Tried to allocate ",
                         bytes >> 20, " MiB. GPU ", int(device.index()), " has a total capacity of ", pool.size >> 20,
                         " MiB of which ", (pool.size - pool.used) >> 20, " MiB is free.");
        void* address = pool.start + offset;
        if (is_recorded()) {
            // A graph comes back to it. What kernels would have written by then has to be the number of something.
            keep([address] { free_on_device(address); });
            std::memset(behind(address), 0, bytes);
            return {address, address, &leave, device};
        }
        // What was never written is no number.
        std::memset(behind(address), 0xff, bytes);
        return {address, address, &free_on_device, device};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &free_on_device; }
    void copy_data(void* to, const void* from, size_t bytes) const override {
        std::memcpy(behind(to), behind(const_cast<void*>(from)), bytes);
    }
    bool initialized() override { return true; }
    void emptyCache(c10::MempoolId_t) override {}
    void recordStream(const c10::DataPtr&, c10::Stream) override {}
    void resetAccumulatedStats(c10::DeviceIndex) override {}
    void resetPeakStats(c10::DeviceIndex) override {}
    // As libtorch's own: what it once had of the driver it keeps, and the driver has the rest.
    c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
        c10::CachingDeviceAllocator::DeviceStats stats;
        auto [peak, used] = peak_and_used(device);
        auto &allocated = stats.allocated_bytes[0], &reserved = stats.reserved_bytes[0];
        allocated.peak = reserved.peak = reserved.current = static_cast<int64_t>(peak);
        allocated.current = static_cast<int64_t>(used);
        return stats;
    }
    std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex device) override {
        size_t size = memory().devices[device]->size;
        return {size - peak_and_used(device).first, size};
    }
};

void free_pinned(void* address) { memory().pinned.give_back(address); }

struct PinnedMemory final : c10::Allocator {
    c10::DataPtr allocate(size_t bytes) override {
        Pool& pool = memory().pinned;
        if (bytes == 0) {
            return {nullptr, c10::kCPU};
        }
        size_t offset = pool.take(bytes);
        TORCH_CHECK(offset < pool.size, "pretended cuda: no pinned memory is left");
        void* address = pool.start + offset;
        return {address, address, &free_pinned, c10::kCPU};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &free_pinned; }
    void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};

}  // namespace

c10::DeviceAllocator& device_memory() {
    static auto* allocator = new DeviceMemory();
    return *allocator;
}

c10::Allocator& pinned_memory() {
    static auto* allocator = new PinnedMemory();
    return *allocator;
}

bool is_pinned(const void* address) { return memory().pinned.holds(address); }

void* behind(void* address) {
    return memory().holds(address) ? static_cast<char*>(address) + memory().distance : address;
}

void* in_front(const void* real) {
    auto* address = const_cast<char*>(static_cast<const char*>(real)) - memory().distance;
    return memory().holds(address) ? address : nullptr;
}

std::pair<size_t, size_t> peak_and_used(c10::DeviceIndex device) {
    Pool& pool = *memory().devices[device];
    std::lock_guard<std::mutex> guard(pool.lock);
    return {pool.peak, pool.used};
}

size_t peak_since(c10::DeviceIndex device) {
    Pool& pool = *memory().devices[device];
    std::lock_guard<std::mutex> guard(pool.lock);
    return std::exchange(pool.peak_since, pool.used);
}

}  // namespace pretended

namespace {
struct Registered {
    Registered() { c10::SetAllocator(c10::kCUDA, &pretended::device_memory(), 200); }
} registered;
}  // namespace
