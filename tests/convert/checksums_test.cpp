#include "depickle/convert/checksums.h"

#include <random>

#include <gmock/gmock.h>

#include "depickle/base/crc32.h"
#include "depickle/base/error.h"
#include "depickle/weights/builder.h"
#include "tests/error_of.h"

namespace depickle::convert {
namespace {

constexpr uint64_t kBytes = 1000;

// Three storages with checksums and one without. The checksum of storage `wrong` is wrong; 3: none is.
class Storages {
 public:
  explicit Storages(uint32_t wrong) {
    std::mt19937 random(7);
    for (uint32_t i = 0; i < 4; ++i) {
      for (std::byte& byte : bytes_[i]) byte = static_cast<std::byte>(random());
      const uint32_t crc = i == 3 ? 0 : crc32(0, bytes_[i]) ^ (i == wrong ? 1 : 0);
      builder_.add_storage({.key = keys_[i],
          .source = std::make_shared<MemorySource>("made", bytes_[i]),
          .size_bytes = kBytes,
          .crc = crc});
    }
  }
  Weights build() { return std::move(builder_).build(); }

  static Tensor tensor(uint32_t storage, uint64_t begin, uint64_t end) {
    return {.name = "t", .offset_bytes = begin, .size_bytes = end - begin, .storage = storage, .dtype = Dtype::U8};
  }

 private:
  weights::Builder builder_{detect::FileKind::zip};
  const std::string_view keys_[4] = {"a", "b", "c", "d"};
  std::array<std::array<std::byte, kBytes>, 4> bytes_;
};

TEST(Checksums, Pieces_in_any_order_with_gaps_and_overlaps_give_the_checksum) {
  std::mt19937 random(3);
  auto below = [&](uint64_t max) { return random() % max; };
  for (int round = 0; round < 300; ++round) {
    const auto wrong = static_cast<uint32_t>(below(4));  // 3: none
    Storages storages(wrong);
    const Weights source = storages.build();
    Checksums checksums(source);
    for (uint64_t i = below(12); i > 0; --i) {
      const auto storage = static_cast<uint32_t>(below(4));
      const uint64_t begin = below(kBytes), end = begin + 1 + below(kBytes - begin);
      const Tensor tensor = Storages::tensor(storage, begin, end);
      const uint64_t cut = below(end - begin + 1);
      checksums.piece(tensor, cut, end - begin);
      if (below(2)) checksums.piece(tensor, 0, cut);
    }
    const Error error = error_of([&] { checksums.check(2, {}, ""); });
    if (wrong == 3) {
      EXPECT_EQ(error.rule(), "accepted") << error.what();
    } else {
      EXPECT_EQ(error.rule(), "ZP12");
      EXPECT_THAT(
          error.what(), testing::HasSubstr("storage \"" + std::string(1, static_cast<char>('a' + wrong)) + "\""));
    }
  }
}

TEST(Checksums, A_storage_without_tensors_is_checked) {
  Storages storages(1);
  const Weights source = storages.build();
  EXPECT_EQ(error_of([&] { Checksums(source).check(1, {}, ""); }).rule(), "ZP12");
}

}  // namespace
}  // namespace depickle::convert
