#include "depickle/convert/hash.h"

#include <algorithm>
#include <numeric>

#include "depickle/base/parallel.h"
#include "depickle/base/sha256.h"

namespace depickle::convert {

std::vector<Digest> sha256_each(const std::vector<Bytes>& pieces, unsigned threads, ProgressMeter& meter) {
  constexpr size_t kStepBytes = size_t{4} << 20;
  std::vector<uint32_t> order(pieces.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, std::ranges::greater{}, [&](uint32_t i) { return pieces[i].size(); });

  std::vector<Digest> digests(pieces.size());
  parallel_for(order.size(), threads, [&](uint64_t i) {
    Sha256 hash;
    for (Bytes rest = pieces[order[i]]; !rest.empty();) {
      Bytes step = rest.first(std::min(rest.size(), kStepBytes));
      hash.update(step);
      meter.add(step.size());
      rest = rest.subspan(step.size());
    }
    std::ranges::copy(hash.hex(), digests[order[i]].digits.begin());
  });
  return digests;
}

}  // namespace depickle::convert
