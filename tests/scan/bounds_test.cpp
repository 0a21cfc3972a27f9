// Files made to slow down a scan: n bytes that contain n * n bytes of pickles, or thousands of times as many.
#include <gmock/gmock.h>

#include "tests/scan/judged.h"

namespace depickle::scan {
namespace {

using namespace torch::made;
using torch::source_of;
using torch::made::text;

Scan scanned(const std::string& file) {
  return scan_pickles(std::make_shared<MemorySource>("file", depickle::bytes(file)));
}

void expect_over_budget(const std::string& file) {
  Scan scan = scanned(file);
  EXPECT_EQ(scan.verdict, Verdict::unreadable);
  ASSERT_TRUE(scan.error);
  EXPECT_LE(scan.audited_bytes, (uint64_t{32} << 20) + 10 * file.size());
}

// A local header without name and extra field.
std::string header(char method) {
  return std::string("PK\3\4") + std::string(4, '\0') + method + std::string(21, '\0');
}
std::string times(int count, const std::string& part) {
  std::string out;
  for (int i = 0; i < count; ++i) out += part;
  return out;
}

TEST(ScanBounds, OverlappingRecordsAreAuditedUpToALimit) {
  expect_over_budget("\xff" + times(1900, header(0) + "\x80\x02]") +
                     "K\x01"
                     "a.");
}

TEST(ScanBounds, LinesWithoutAnEndAreAuditedUpToALimit) { expect_over_budget("\xff" + times(4000, header(0) + "P")); }

TEST(ScanBounds, TooManyRecordsAreAnError) {
  std::string hidden = header(0) + call("os", "system", {text("id")}) + ".";
  Scan scan = scanned("\xff" + times(100'001, header(0) + '\0') + hidden);
  EXPECT_EQ(scan.verdict, Verdict::unreadable);
  ASSERT_TRUE(scan.error);
}

TEST(ScanBounds, TooManyPicklesAreAnError) {
  EXPECT_EQ(scanned(times(10'000, ").")).verdict, Verdict::tensors_only);
  EXPECT_EQ(scanned(times(10'001, ").") + call("os", "system", {text("id")}) + ".").verdict, Verdict::unreadable);
}

TEST(ScanBounds, BytesUnpickledAThousandTimesAreAuditedOnce) {
  std::string inner = std::string("\x80\x02") + times(1000, "N0") + "N.";
  std::string file =
      "\x80\x03"
      "ctorch.storage\n_load_from_bytes\nq\1B" +
      raw(static_cast<uint32_t>(inner.size())) + inner + "\x85q\2](" + times(1000, "h\1h\2R") + "e.";
  Scan scan = scanned(file);
  EXPECT_EQ(scan.verdict, Verdict::tensors_only) << (scan.error ? scan.error->what() : "");
  EXPECT_LE(scan.audited_bytes, 2 * file.size());
}

}  // namespace
}  // namespace depickle::scan
