#include "depickle/os/scratch_file.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "depickle/os/computed_source.h"
#include "depickle/os/file_status.h"
#include "tests/error_of.h"

namespace depickle::os {
namespace {

std::shared_ptr<const ByteSource> filled(char letter, uint64_t size_bytes) {
  return std::make_shared<ComputedSource>(
      "x", size_bytes, "", [=](const ComputedSource::Sink& sink) { sink(bytes(std::string(size_bytes, letter))); });
}

void expect_letters(const ByteSource& source, char letter) {
  EXPECT_EQ(text(source.all()), std::string(source.size_bytes(), letter));
}

TEST(ScratchSpace, IsAFileOfItsOwnUnlessOneIsShared) {
  constexpr uint64_t kBytes = (2 << 20) + 1;
  const auto before = filled('a', kBytes);
  expect_letters(*before, 'a');

  int opened = 0, descriptor = -1;
  share_scratch_file([&] { return ++opened, descriptor = open_scratch_file(); });
  auto first = filled('b', kBytes), second = filled('c', kBytes);
  expect_letters(*first, 'b');
  expect_letters(*second, 'c');
  expect_letters(*first, 'b');
  EXPECT_EQ(opened, 1);

  const auto blocks = [&] { return status_of(descriptor, "").st_blocks; };
  const auto with_both = blocks();
  first.reset();
  EXPECT_LT(blocks(), with_both) << "the destructor frees the space";
  second.reset();
  const auto size_before = status_of(descriptor, "").st_size;
  for (int i = 0; i < 10; ++i) expect_letters(*filled('d', kBytes), 'd');
  EXPECT_LE(status_of(descriptor, "").st_size, size_before + 2 * static_cast<int64_t>(kBytes)) << "freed space is used";
  EXPECT_EQ(error_of([] { ScratchSpace(UINT64_MAX); }).system_errno(), EFBIG);
  share_scratch_file({});
}

}  // namespace
}  // namespace depickle::os
