// Counts the tensors below a value, in one pass over the graph.
#include <algorithm>

#include "depickle/formats/torch/flatten.h"

namespace depickle::torch {
namespace {

using pickle::Handle;

// Counted::all is kNew, the position of a value that is being visited, or kCounted plus a count. Counted::model is a
// count, plus kHasOptimizer if the value contains optimizer state.
constexpr uint32_t kNew = 0xffffffff, kCounted = 0x80000000, kMaxCounted = kNew - 1 - kCounted;
constexpr uint32_t kHasOptimizer = 0x80000000;

uint32_t capped(uint64_t count) { return static_cast<uint32_t>(std::min<uint64_t>(count, kMaxCounted)); }

}  // namespace

struct Flattener::CountFrame {
  Handle handle;
  bool is_grouped;       ///< the container has this value under a flat key of an optimizer state
  bool is_first = true;  ///< no visited value before this one belongs to the same cycle
  TensorCounts counts{};
  std::vector<Child> rest = {};  ///< children that are still to be visited

  void add(const TensorCounts& child, bool child_is_grouped) {
    counts.all += child.all;
    if (!child_is_grouped) counts.model += child.model;
    counts.has_optimizer_state |= child.has_optimizer_state || child_is_grouped;
  }
  void set_kind(TrainingState::Kind kind) {
    if (kind != TrainingState::Kind::none) counts.model = 0;
    if (kind == TrainingState::Kind::optimizer) counts.has_optimizer_state = true;
  }
};

Flattener::CountFrame Flattener::open_count(Handle handle, bool is_grouped) {
  CountFrame frame{handle, is_grouped};
  counts_[handle].all = opened_++;
  if (is_tensor(handle)) {
    frame.counts = {.all = 1, .model = 1, .has_optimizer_state = false};
    return frame;
  }
  for (const Child& child : children_of(handle))
    if (!tree_.is_leaf(child.value)) frame.rest.push_back(child);
  return frame;
}

// Assigns the counts of a frame to the frame's value and to the values in a cycle with it.
void Flattener::close_count(const CountFrame& frame, std::vector<Handle>& unassigned) {
  const uint32_t position = counts_[frame.handle].all;
  const Counted counted{kCounted + capped(frame.counts.all),
      capped(frame.counts.model) | (frame.counts.has_optimizer_state ? kHasOptimizer : 0)};
  for (; !unassigned.empty() && counts_[unassigned.back()].all >= position; unassigned.pop_back())
    counts_[unassigned.back()] = counted;
  counts_[frame.handle] = counted;
}

// D. J. Pearce, "A space-efficient algorithm for finding strongly connected components" (2016), with sums of the
// counts.
Flattener::TensorCounts Flattener::counts_of(Handle root) {
  if (tree_.is_leaf(root)) return {};
  if (counts_.empty()) counts_.assign(contents_.graph.nodes(), {kNew, 0});
  auto counted = [&](Handle handle) {
    const Counted& found = counts_[handle];
    return TensorCounts{found.all - kCounted, found.model & ~kHasOptimizer, (found.model & kHasOptimizer) != 0};
  };
  std::vector<CountFrame> open;
  std::vector<Handle> unassigned;
  if (counts_[root].all == kNew) open.push_back(open_count(root, false));
  while (!open.empty()) {
    CountFrame& frame = open.back();
    if (!frame.rest.empty()) {
      const Child child = frame.rest.back();
      const bool is_grouped = child.group != kNoGroup;
      const uint32_t state = counts_[child.value].all;
      frame.rest.pop_back();
      if (state == kNew) {
        open.push_back(open_count(child.value, is_grouped));
      } else if (state >= kCounted) {
        frame.add(counted(child.value), is_grouped);
      } else if (state < counts_[frame.handle].all) {
        counts_[frame.handle].all = state;
        frame.is_first = false;
      }
      continue;
    }
    CountFrame closed = std::move(open.back());
    open.pop_back();
    closed.set_kind(training_.kind(closed.handle));
    if (!open.empty()) open.back().add(closed.counts, closed.is_grouped);
    if (closed.is_first) {
      close_count(closed, unassigned);
      continue;
    }
    unassigned.push_back(closed.handle);
    CountFrame& parent = open.back();  // a value that is not the first of its cycle has a parent in it
    if (counts_[closed.handle].all < counts_[parent.handle].all) {
      counts_[parent.handle].all = counts_[closed.handle].all;
      parent.is_first = false;
    }
  }
  return counted(root);
}

uint64_t Flattener::count_model_bytes(Handle root) {
  steps_ = 0;
  uint64_t size_bytes = 0;
  std::vector<bool> is_visited(contents_.graph.nodes());
  std::vector<Handle> rest{root};
  while (!rest.empty()) {
    const Handle handle = rest.back();
    rest.pop_back();
    if (tree_.is_leaf(handle) || is_visited[handle]) continue;
    is_visited[handle] = true;
    if (is_tensor(handle)) {
      size_bytes += rebuild(handle).tensor.size_bytes;
    } else if (!is_training_state(handle)) {
      for (const Child& child : children_of(handle))
        if (child.group == kNoGroup) rest.push_back(child.value);
    }
  }
  return size_bytes;
}

}  // namespace depickle::torch
