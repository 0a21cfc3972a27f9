// Of several names for one tensor, which is kept.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::convert {

/// What the user says about tied names; it goes before the table.
struct TiedNames {
  std::vector<std::string> keep;     ///< kept where they can be
  std::vector<std::string> discard;  ///< dropped where another name is left
};

/// The index, in `names`, of the name to keep. All of them name the same tensor; there is at least one.
///
/// A loader knows a tied tensor by the name of its owner: an output head that is tied to the embedding is made from it. A file that holds
/// the head alone loads with a random embedding. The reference converter therefore asks the model's class for its `_tied_weights_keys`;
/// a file does not tell its class, so a table holds those of all classes of transformers (4 and 5), as endings of names. What the table
/// drops is dropped first, then the alphabetically first name of the rest is kept, as the reference does.
size_t kept_name(std::span<const std::string_view> names, const TiedNames& wishes);

}  // namespace depickle::convert
