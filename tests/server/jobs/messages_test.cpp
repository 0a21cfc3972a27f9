#include "server/jobs/messages.h"

#include <limits>

#include <gmock/gmock.h>

#include "server/jobs/json_check.h"

namespace depickle::server::jobs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kCommit(40, 'a');

class Reports : public testing::Test {
 protected:
  explicit Reports(JobRequest request = {.kind = JobKind::convert, .repo = "m/1"})
      : reader_(
            std::move(request), [this](std::string_view phase) { phases_.emplace_back(phase); },
            [this](const JobProgress& progress) { progress_.push_back(progress); }) {}

  /// Returns the error of a message, "" if it is accepted.
  std::string refusal(const std::string& message) {
    try {
      reader_.take(message);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::malformed);
      return error.message();
    }
    return "";
  }
  std::string refusal(const JobResult& result) {
    std::string last;
    encode_result(result, 0, [&](const std::string& message) { last = refusal(message); });
    return last;
  }
  std::string refusal(JobOutcome outcome) { return refusal(JobResult{.outcome = std::move(outcome), .tensors = {}}); }

  std::vector<std::string> phases_;
  std::vector<JobProgress> progress_;
  ReportReader reader_;
};

TEST_F(Reports, AResultArrivesWithItsTensors) {
  JobResult sent{.outcome = {.result = R"({"a":[1,"b"]})", .sentence = "fine", .answer = "yes"},
      .tensors = {{.name = "w\"\x1b\xff", .dtype = "F32", .shape = {2, 3}, .bytes = 24, .file = "f", .sha256 = "00"}},
      .downloaded_bytes = 5,
      .converted_bytes = 6};
  EXPECT_EQ(refusal(encode_phase("resolve")), "");
  EXPECT_EQ(refusal(encode_progress({.phase = {}, .file = "f", .done_bytes = 1, .total_bytes = 2})), "");
  encode_result(sent, 3, [&](const std::string& message) { EXPECT_EQ(refusal(message), ""); });
  EXPECT_THAT(phases_, ElementsAre("resolve"));
  EXPECT_EQ(progress_.at(0).phase, "resolve");
  const JobResult received = reader_.result();
  EXPECT_EQ(received.outcome.result, sent.outcome.result);
  EXPECT_EQ(received.outcome.answer, "yes");
  EXPECT_EQ(received.downloaded_bytes, 5u);
  EXPECT_EQ(received.converted_bytes, 6u);
  ASSERT_EQ(received.tensors.size(), 1u);
  EXPECT_EQ(received.tensors[0].name, "w\"\\x1b\\xff") << "a name that is not UTF-8 is escaped";
  EXPECT_EQ(received.tensors[0].shape, sent.tensors[0].shape);
  EXPECT_EQ(reader_.sandbox_deaths(), 3u);
}

TEST_F(Reports, AnErrorArrivesWithItsPlace) {
  EXPECT_EQ(
      refusal(encode_error(Error(Code::limit, Reason::model_too_large, "too \x1b large", Where::in("a.bin")), 1)), "");
  try {
    reader_.result();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::limit);
    EXPECT_EQ(error.reason(), Reason::model_too_large);
    EXPECT_STREQ(error.what(), "a.bin: too \\x1b large");
  }
}

TEST_F(Reports, ManyTensorsNeedSeveralMessages) {
  JobResult sent{.outcome = {}, .tensors = std::vector<TensorRow>(60'000, {.name = std::string(500, 'n')})};
  int messages = 0;
  encode_result(sent, 0, [&](const std::string& message) {
    ++messages;
    EXPECT_EQ(refusal(message), "");
  });
  EXPECT_GT(messages, 3);
  EXPECT_EQ(reader_.result().tensors.size(), 60'000u);
}

TEST_F(Reports, AResultOverTheLimitsIsNotSent) {
  auto error_of = [](const JobResult& result) {
    try {
      encode_result(result, 0, [](const std::string&) { FAIL() << "a message was sent"; });
    } catch (const Error& error) {
      return error.message();
    }
    return std::string();
  };
  EXPECT_THAT(error_of({.outcome = {.result = std::string(kMaxResultBytes + 1, ' ')}, .tensors = {}}),
      HasSubstr("the result of the job is too large (have 67.1 MB, need at most 67.1 MB)"));
  EXPECT_THAT(error_of({.outcome = {}, .tensors = std::vector<TensorRow>(kMaxTensors + 1)}),
      HasSubstr("have 500,001 tensors, need at most 500,000"));
  EXPECT_THAT(error_of({.outcome = {}, .tensors = {{.name = std::string(5 << 20, 'n')}}}), HasSubstr("too large"));
}

TEST_F(Reports, AnUnknownPhaseIsRefused) {
  EXPECT_THAT(refusal(encode_phase("upload\n")), HasSubstr("phase"));
  EXPECT_THAT(refusal(encode_phase("")), HasSubstr("phase"));
}

TEST_F(Reports, ForgedProgressIsRefused) {
  EXPECT_THAT(refusal(encode_progress({})), HasSubstr("progress before a phase"));
  EXPECT_EQ(refusal(encode_phase("read")), "");
  const double infinite = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();
  for (const JobProgress& forged : std::vector<JobProgress>{{.done_bytes = 2, .total_bytes = 1},
           {.total_bytes = UINT64_MAX}, {.bytes_per_second = infinite}, {.bytes_per_second = -1},
           {.seconds_left = none}, {.seconds_left = -1}, {.file = std::string(5000, 'f')}})
    EXPECT_THAT(refusal(encode_progress(forged)), HasSubstr("invalid message"));
  EXPECT_EQ(progress_.size(), 0u);
}

TEST_F(Reports, MessagesInTheWrongOrderAreRefused) {
  encode_result({.outcome = {}, .tensors = {{.name = "a"}}}, 0, [&](const std::string& message) {
    EXPECT_EQ(refusal(message), "");
    EXPECT_NE(refusal(encode_phase("read")), "") << "no phase follows the tensors";
  });
  EXPECT_THAT(refusal(JobOutcome{}), HasSubstr("after the last one"));
  EXPECT_THAT(refusal(encode_error(Error(Code::io, "", "x"), 0)), HasSubstr("after the last one"));
}

TEST_F(Reports, TruncatedAndExtendedMessagesAreRefused) {
  std::vector<std::string> messages = {
      encode_phase("read"), encode_progress({.file = "f"}), encode_error(Error(Code::io, "", "x", Where::in("f")), 0)};
  encode_result({.outcome = {.result = "{}"}, .tensors = {{.name = "a", .shape = {1}}}}, 0,
      [&](const std::string& message) { messages.push_back(message); });
  EXPECT_EQ(refusal(encode_phase("read")), "");
  for (const std::string& message : messages) {
    EXPECT_NE(refusal(message + "x"), "");
    for (size_t length = 0; length < message.size(); ++length) {
      ReportReader reader({}, [](std::string_view) {}, [](const JobProgress&) {});
      EXPECT_THROW(reader.take(message.substr(0, length)), Error);
    }
  }
  EXPECT_THAT(refusal(std::string(1, '\x05')), HasSubstr("cannot be decoded"));
}

TEST_F(Reports, ForgedResultsAreRefused) {
  for (const char* result : {"[]", "{", "{}}", "{},\"id\":1", "{\"a\":1}\n", "{ }", "{\"a\":\"\xff\"}", "{\"a\":01}"})
    EXPECT_THAT(refusal(JobOutcome{.result = result}), HasSubstr("result")) << result;
  EXPECT_THAT(refusal(JobOutcome{.answer = "maybe"}), HasSubstr("answer"));
  EXPECT_THAT(refusal(JobOutcome{.sentence = std::string(100'000, 's')}), HasSubstr("sentence"));
  EXPECT_THAT(refusal(JobOutcome{.problem = Problem{"fine", "", ""}}), HasSubstr("error code"));
}

TEST_F(Reports, ForgedTensorsAreRefused) {
  for (const TensorRow& row : std::vector<TensorRow>{{.dtype = std::string(65, 'x')}, {.sha256 = std::string(65, '0')},
           {.file = std::string(5000, 'f')}, {.shape = std::vector<uint64_t>(2000)}}) {
    std::string first;
    encode_result({.outcome = {}, .tensors = {row}}, 0, [&](const std::string& message) {
      if (first.empty()) first = refusal(message);
    });
    EXPECT_THAT(first, HasSubstr("invalid message"));
  }
}

TEST_F(Reports, TextsAreSafeToPrint) {
  EXPECT_EQ(refusal(JobOutcome{.sentence = "a\x1b[2J\n\xff", .problem = Problem{"failed", "b\x1b", "c\n"}}), "");
  const JobOutcome outcome = reader_.result().outcome;
  EXPECT_EQ(outcome.sentence, "a\\x1b[2J\\n\\xff");
  EXPECT_EQ(outcome.problem->message, "b\\x1b");
}

TEST_F(Reports, AMergeNeedsACommit) {
  EXPECT_NE(refusal(JobOutcome{.merge = {.is_possible = true, .number = 1, .head = "refs/heads/main"}}), "");
  EXPECT_NE(refusal(JobOutcome{.merge = {.is_possible = true, .number = 0, .head = kCommit}}), "");
  EXPECT_NE(refusal(JobOutcome{.merge = {.is_possible = true, .number = UINT64_MAX, .head = kCommit}}), "");
  EXPECT_EQ(refusal(JobOutcome{.merge = {.is_possible = true, .number = 1, .head = kCommit}}), "");
}

class ReportsOfACheck : public Reports {
 protected:
  ReportsOfACheck() : Reports({.kind = JobKind::check, .repo = "m/1", .number = 7}) {}
};

TEST_F(ReportsOfACheck, AnotherPullRequestCannotBeMerged) {
  EXPECT_NE(refusal(JobOutcome{.merge = {.is_possible = true, .number = 8, .head = kCommit}}), "");
  EXPECT_EQ(refusal(JobOutcome{.merge = {.is_possible = true, .number = 7, .head = kCommit}}), "");
}

class ReportsOfAPlan : public Reports {
 protected:
  ReportsOfAPlan() : Reports({.kind = JobKind::plan, .repo = "m/1"}) {}
};

TEST_F(ReportsOfAPlan, NothingCanBeMerged) {
  EXPECT_NE(refusal(JobOutcome{.merge = {.is_possible = true, .number = 1, .head = kCommit}}), "");
}

TEST(JsonCheck, AcceptsCompactObjects) {
  for (const char* text : {"{}", R"({"a":1,"b":[],"c":{"d":null}})", R"({"a":[true,false,-0.5e+10,0,"\u00e9\"\\x"]})",
           R"({"a":[18446744073709551615,-9223372036854775808,1.7976931348623157e+308,5e-324,-0]})"})
    EXPECT_TRUE(is_compact_json_object(text)) << text;
}

TEST(JsonCheck, RefusesOtherTexts) {
  for (const char* text :
      {"", "1", "[1]", "{", "{}{}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\": 1}", "{a:1}", "{\"a\":+1}",
          "{\"a\":1.}", "{\"a\":.5}", "{\"a\":1e}", "{\"a\":00}", "{\"a\":\"\n\"}", "{\"a\":\"\\ud800\"}",
          "{\"a\":\"\\uDFFF\"}", "{\"a\":1e999}", "{\"a\":18446744073709551616}", "{\"a\":-9223372036854775809}",
          "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\", "{\"a\":nul}", "{\"a\":[1}", "{\"a\":NaN}"})
    EXPECT_FALSE(is_compact_json_object(text)) << text;
  EXPECT_FALSE(is_compact_json_object("{\"a\":" + std::string(100'000, '[')));
}

}  // namespace
}  // namespace depickle::server::jobs
