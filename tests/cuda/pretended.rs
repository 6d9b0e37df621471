//! The pretended device keeps to what a real one does.

use croloss::config::DeviceChoice;
use croloss::device::{self, ComputePath};
use croloss::eval::Catalogue;
use croloss::model::Scoring;
use libloading::os::unix::{Library, RTLD_NOW};
use tch::{Device, Kind, Tensor};

use super::counts::{counted, waits};
use super::machine;
use crate::common::Place;

fn gpu(index: usize) -> Device {
    device::open(DeviceChoice::Cuda(Some(index))).unwrap()
}

fn ones(size: &[i64], device: Device) -> Tensor {
    Tensor::ones(size, (Kind::Float, device))
}

#[test]
fn the_host_cannot_read_its_memory() {
    if machine::pretended().is_none() {
        return;
    }
    let output = machine::inner_command("pretended::a_raw_read").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(errors.contains("the host touched device memory, from:"), "{errors}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("was read"), "{said}");
}

#[test]
#[ignore = "ends its process"]
fn a_raw_read() {
    let tensor = ones(&[4], gpu(0));
    // SAFETY: there is none; that this ends the process is what is tested.
    let number = unsafe { *(tensor.data_ptr() as *const f32) };
    println!("{number} was read");
}

#[test]
fn what_cuda_refuses_is_refused_in_its_words() {
    machine::inner("pretended::refusals");
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn refusals() {
    let (gpu, host) = (gpu(0), Device::Cpu);
    let (here, there) = (ones(&[4, 4], gpu), ones(&[4, 4], host));
    let ids = Tensor::from_slice(&[1i64, 2]);
    let refused = |name: &str, words: &str, result: Result<Tensor, tch::TchError>| {
        let error = result.err().unwrap_or_else(|| panic!("{name} is not refused")).to_string();
        assert!(error.contains(words), "{name}: {error}");
    };
    refused("add", "found at least two devices, cuda:0 and cpu!", here.f_add(&there));
    let words = "different from other tensors on cuda:0 (when checking argument in method";
    refused("index_select", words, here.f_index_select(0, &ids));
    refused("matmul", words, here.f_matmul(&there));
    // A number of the host may stand beside a device's tensors.
    assert_eq!((&here + Tensor::from(2.0f32)).sum(Kind::Float).double_value(&[]), 48.0);

    // cuDNN goes back only through what it was told is training.
    let input = ones(&[2, 3, 4], gpu).set_requires_grad(true);
    let weights = [ones(&[12, 4], gpu), ones(&[12, 4], gpu), ones(&[12], gpu), ones(&[12], gpu)];
    let start = ones(&[1, 2, 4], gpu);
    for train in [true, false] {
        let (all, _) = input.gru(&start, &weights, true, 1, 0.0, train, false, true);
        let back = Tensor::f_run_backward(&[all.sum(Kind::Float)], &[&input], false, false);
        match train {
            true => assert_eq!(back.unwrap()[0].size(), [2, 3, 4]),
            false => {
                let error = back.unwrap_err().to_string();
                assert!(
                    error.contains("RNN backward can only be called in training mode"),
                    "{error}"
                );
            }
        }
    }
    if machine::pretended().is_some() {
        let two = ones(&[4, 4], self::gpu(1));
        refused("devices", "found at least two devices, cuda:0 and cuda:1!", here.f_add(&two));
        let words = "CUDA out of memory. Tried to allocate";
        refused("memory", words, Tensor::f_ones([1 << 31], (Kind::Float, gpu)));
    }
}

#[test]
fn what_libtorch_keeps_is_free_for_the_next_tensor() {
    if machine::pretended().is_some() {
        machine::inner("pretended::kept_memory");
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn kept_memory() {
    const BYTES: usize = 64 << 20;
    let gpu = gpu(0);
    // Kernels, which hold no scores, are for float32.
    let rows = Tensor::empty([1000, 4], (Kind::Double, gpu));
    let seen = || {
        let items = Catalogue::new(rows.shallow_clone(), ComputePath::TensorOps);
        (device::gpu_memory(gpu).unwrap(), items.users_a_block())
    };
    let (before, users) = seen();
    let tensor = Tensor::empty([BYTES as i64], (Kind::Uint8, gpu));
    let (with, users_with) = seen();
    assert_eq!(with.room(), before.room() - BYTES);
    assert!(users_with < users, "{users_with} and {users} users");
    drop(tensor);
    let (after, users_after) = seen();
    assert_eq!((after.room(), users_after), (before.room(), users));
    // The driver has not got it back.
    assert_eq!(after.free, before.free - BYTES);
}

#[test]
fn the_host_waits_to_know_a_size() {
    if machine::pretended().is_some() {
        let lines = waits(&mut machine::inner_command("pretended::sizes"));
        let sums: Vec<i64> = lines.iter().map(|line| line.all().synchronizations).collect();
        // That for the whole device is one of its own.
        let waits: Vec<i64> = sums.windows(2).map(|two| two[1] - two[0] - 1).collect();
        assert_eq!(waits, [1, 1, 1, 0, 0, 0]);
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn sizes() {
    let gpu = gpu(0);
    let (numbers, added) = (ones(&[4], gpu), ones(&[4], gpu));
    let (some, mask) = (Tensor::ones([4], (Kind::Int64, gpu)), numbers.gt(0.0));
    let put = |at: &Tensor| _ = numbers.shallow_clone().index_put_(&[Some(at)], &added, true);
    device::synchronize(gpu);
    let asked: [&dyn Fn(); 6] = [
        &|| drop(Tensor::repeat_interleave(&some, None::<i64>)),
        &|| drop(numbers.index(&[Some(&mask)])),
        &|| put(&mask),
        &|| drop(Tensor::repeat_interleave(&some, 4i64)),
        &|| drop(numbers.index(&[Some(&some)])),
        &|| put(&some),
    ];
    for ask in asked {
        ask();
        device::synchronize(gpu);
    }
}

#[test]
fn the_most_memory_is_counted_from_wait_to_wait() {
    if machine::pretended().is_some() {
        let lines = counted(&Place::new(), &mut machine::inner_command("pretended::memory"));
        let waits = lines.iter().filter(|line| line.at == "synchronize");
        let mib = waits.map(|line| (line.peak[0] >> 20, line.peak_since[0] >> 20));
        assert_eq!(mib.collect::<Vec<_>>(), [(3, 3), (3, 1), (3, 2), (4, 4), (4, 0)]);
        assert!(lines.iter().all(|line| line.peak_since[1] == 0), "the other device");
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn memory() {
    let gpu = gpu(0);
    let mib = |count: i64| ones(&[count << 18], gpu);
    let kept = mib(1);
    drop(mib(2));
    device::synchronize(gpu);
    // What was held at the wait before counts, and nothing else.
    device::synchronize(gpu);
    drop(mib(1));
    device::synchronize(gpu);
    drop(kept);
    drop(mib(4));
    device::synchronize(gpu);
    device::synchronize(gpu);
}

#[test]
fn what_is_not_on_the_default_stream_is_counted() {
    if machine::pretended().is_some() {
        let mut command = machine::inner_command("pretended::another_stream");
        let lines = counted(&Place::new(), &mut command);
        // `ones` is a launch and so is each of the other two; a kernel of our own follows libtorch.
        assert_eq!(lines.last().unwrap().all().on_other_streams, 3);
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn another_stream() {
    let gpu = gpu(0);
    let before = ones(&[4, 4], gpu);
    // SAFETY: the pretended library has it, with this type.
    let use_stream = |id: i64| unsafe {
        let library = Library::open(Some("libtorch_cuda.so"), RTLD_NOW).unwrap();
        let function = library.get::<unsafe extern "C" fn(i64)>(b"pretended_cuda_use_stream");
        function.unwrap()(id);
    };
    use_stream(1);
    let there = ones(&[4, 4], gpu);
    let _ = Scoring::unit(&(&before + there));
    use_stream(0);
    let _ = before + 1.0;
}
