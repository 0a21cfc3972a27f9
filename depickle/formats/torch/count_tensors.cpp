// Counts the tensors below a value, in one pass over the graph.
#include <algorithm>

#include "depickle/formats/torch/flatten.h"

namespace depickle::torch {
namespace {

using pickle::Handle;

// An element of Flattener::counts_ is kNew, the position of a value that is being visited, or kCounted plus a count.
constexpr uint32_t kNew = 0xffffffff, kCounted = 0x80000000, kMaxCountedTensors = kNew - 1 - kCounted;

}  // namespace

struct Flattener::CountFrame {
  Handle handle;
  bool is_first = true;  ///< no visited value before this one belongs to the same cycle
  uint64_t tensors = 0;
  std::vector<Handle> rest = {};  ///< children that are still to be visited
};

Flattener::CountFrame Flattener::open_count(Handle handle) {
  CountFrame frame{handle};
  counts_[handle] = opened_++;
  if (is_tensor(handle)) {
    frame.tensors = 1;
    return frame;
  }
  for (const Child& child : children_of(handle))
    if (!tree_.is_leaf(child.value)) frame.rest.push_back(child.value);
  return frame;
}

// Assigns the count of a frame to the frame's value and to the values in a cycle with it.
void Flattener::close_count(const CountFrame& frame, std::vector<Handle>& unassigned) {
  const uint32_t position = counts_[frame.handle];
  const uint32_t count = kCounted + static_cast<uint32_t>(std::min<uint64_t>(frame.tensors, kMaxCountedTensors));
  for (; !unassigned.empty() && counts_[unassigned.back()] >= position; unassigned.pop_back())
    counts_[unassigned.back()] = count;
  counts_[frame.handle] = count;
}

// D. J. Pearce, "A space-efficient algorithm for finding strongly connected components" (2016), with sums of the
// counts.
uint64_t Flattener::count_tensors(Handle root) {
  if (tree_.is_leaf(root)) return 0;
  if (counts_.empty()) counts_.assign(contents_.graph.nodes(), kNew);
  std::vector<CountFrame> open;
  std::vector<Handle> unassigned;
  if (counts_[root] == kNew) open.push_back(open_count(root));
  while (!open.empty()) {
    CountFrame& frame = open.back();
    if (!frame.rest.empty()) {
      const Handle child = frame.rest.back();
      frame.rest.pop_back();
      if (counts_[child] == kNew) {
        open.push_back(open_count(child));
      } else if (counts_[child] >= kCounted) {
        frame.tensors += counts_[child] - kCounted;
      } else if (counts_[child] < counts_[frame.handle]) {
        counts_[frame.handle] = counts_[child];
        frame.is_first = false;
      }
      continue;
    }
    const CountFrame closed = std::move(open.back());
    open.pop_back();
    if (closed.is_first) {
      close_count(closed, unassigned);
      if (!open.empty()) open.back().tensors += counts_[closed.handle] - kCounted;
      continue;
    }
    unassigned.push_back(closed.handle);
    CountFrame& parent = open.back();  // a value that is not the first of its cycle has a parent in it
    parent.tensors += closed.tensors;
    if (counts_[closed.handle] < counts_[parent.handle]) {
      counts_[parent.handle] = counts_[closed.handle];
      parent.is_first = false;
    }
  }
  return counts_[root] - kCounted;
}

}  // namespace depickle::torch
