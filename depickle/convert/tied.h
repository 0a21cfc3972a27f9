// Chooses which of several names of one tensor is kept.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::convert {

/// The user's choice of tied names. It has priority over the built-in table.
struct TiedNames {
  std::vector<std::string> keep;     ///< kept if they name the tensor
  std::vector<std::string> discard;  ///< dropped if another name remains
};

/// Returns the index, in `names`, of the name to keep. All names belong to the same tensor; `names` is not empty.
///
/// A loader knows a tied tensor by the name of its owner: it makes a tied output head from the embedding. A file that
/// contains only the head loads with a random embedding. The reference converter therefore asks the model's class for
/// its `_tied_weights_keys`. A file does not name its class, so a table contains those of all classes of transformers
/// (4 and 5), as endings of names. First the table's names are dropped, then the alphabetically first of the remaining
/// names is kept, like in the reference.
size_t kept_name(std::span<const std::string_view> names, const TiedNames& user);

}  // namespace depickle::convert
