// What is recorded for a CUDA graph.
#pragma once

#include "pretended.h"

#include <functional>
#include <string>
#include <vector>

namespace pretended {

// Whether what this thread launches is recorded and not done.
bool is_recorded();

// Puts work into the graph.
void record(std::function<void()> work);

// Puts off until the graph goes what would give memory back.
void keep(std::function<void()> give_back);

// Throws, in CUDA's words, where the default stream is tied to another one while that is recorded.
void refuse_tied(bool one_is_default, bool other_is_default);

// Throws, in CUDA's words, where this thread's work is recorded: nothing can be known of it meanwhile.
void refuse_recorded(const std::string& what);

}  // namespace pretended
