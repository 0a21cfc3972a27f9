#include "depickle/base/source.h"

#include <gmock/gmock.h>

#include "tests/error_of.h"

namespace depickle {
namespace {

using testing::HasSubstr;

TEST(ByteSource, ReturnsRanges) {
  MemorySource source("m", bytes("abcdef"));
  EXPECT_EQ(text(source.view(2, 3)), "cde");
  EXPECT_EQ(text(source.view(6, 0)), "");
  EXPECT_EQ(text(source.all()), "abcdef");
  EXPECT_FALSE(source.is_file());
}

TEST(ByteSource, RefusesRangesPastTheEndAndOverflows) {
  MemorySource source("m", bytes("abcdef"));
  EXPECT_EQ(refusal([&] { source.view(4, 3); }), "m: the file ends too early (have 6 bytes, need 3 from byte 4)");
  for (auto [offset, length] :
      {std::pair<uint64_t, uint64_t>{7, 0}, {UINT64_MAX, 1}, {UINT64_MAX - 1, 5}, {3, UINT64_MAX - 1}, {1, UINT64_MAX}})
    EXPECT_EQ(error_of([&] { source.view(offset, length); }).code(), Code::truncated) << offset << "+" << length;
}

TEST(ByteSource, KeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::string>("owned");
  MemorySource source("m", bytes(*owner), owner);
  std::weak_ptr<std::string> watch = owner;
  owner.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(text(source.all()), "owned");
}

}  // namespace
}  // namespace depickle
