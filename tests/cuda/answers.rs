//! Recommendations from an export on a GPU, by the command and by the service.

use std::fs;

use serde_json::json;

use super::counts;
use super::machine::{self, command, succeed};
use crate::common::Place;
use crate::server::{Scored, Server, exported, original_ids, same, scored};

/// What the command recommends on a device for the histories in `in.jsonl`.
fn recommended(place: &Place, device: &str) -> Vec<Scored> {
    let from = ["recommend", "towers", "--input", "in.jsonl", "--top", "7"];
    let to = ["--out", "out.jsonl", "--force", "--device", device];
    succeed(&mut command(place, &[&from[..], &to].concat()));
    let text = fs::read_to_string(place.path("out.jsonl")).unwrap();
    text.lines().map(|line| scored(&serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn an_export_answers_on_a_gpu_as_on_a_cpu() {
    let place = exported();
    let items = original_ids(&place);
    let history = |n: usize| (0..n).map(|k| items[(n * 13 + k * 7) % 100].clone()).collect();
    let histories: Vec<Vec<String>> = (1..=30).map(history).collect();
    let lines: Vec<String> =
        histories.iter().map(|history| json!({"history": history}).to_string()).collect();
    fs::write(place.path("in.jsonl"), lines.join("\n")).unwrap();
    let expected = recommended(&place, "cpu");
    let by_command = recommended(&place, "cuda");

    let serve = ["serve", "towers", "--listen", "127.0.0.1:0", "--device", "cuda"];
    let mut serve = command(&place, &serve);
    let counted = place.path("counts.jsonl");
    serve.env("PRETENDED_CUDA_COUNTS", &counted);
    let server = Server::of(serve);
    let ask = |histories: &[Vec<String>]| -> Vec<Scored> {
        let (status, answer) = server.post(json!({"histories": histories, "top": 7}));
        assert_eq!(status, 200, "{answer}");
        answer["recommendations"].as_array().unwrap().iter().map(scored).collect()
    };
    let at_once = ask(&histories);
    let one_by_one = histories.chunks(1).flat_map(ask).collect();
    for answers in [by_command, at_once, one_by_one] {
        assert_eq!((answers.len(), expected.len()), (30, 30));
        for (own, expected) in answers.iter().zip(&expected) {
            assert_eq!(own.len(), 7);
            assert!(same(own, expected), "{own:?} and {expected:?}");
        }
    }
    server.signal(libc::SIGTERM);
    let (status, errors) = server.ended();
    assert_eq!(status, Some(0), "{errors}");
    if machine::pretended().is_some() {
        let launches = counts::read(&counted).last().unwrap().all().launches;
        assert!(launches > 31, "that was no GPU: {launches} launches");
    }
}
