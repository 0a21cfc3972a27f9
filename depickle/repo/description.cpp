#include "depickle/repo/description.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/text.h"

namespace depickle::repo {
namespace {

constexpr size_t kMaxListed = 20, kMaxReceiptBytes = 16 << 10;

std::string listed(const std::vector<std::string>& items) {
  std::string text = fmt::format("{}", fmt::join(std::span(items).first(std::min(items.size(), kMaxListed)), ", "));
  return items.size() > kMaxListed ? text + fmt::format(" and {} more", items.size() - kMaxListed) : text;
}

std::vector<std::string> coded(const std::vector<std::string>& items) {
  std::vector<std::string> codes;
  for (const std::string& item : items) codes.push_back(markdown_code(item));
  return codes;
}

std::string sha(const std::string& digest) {
  return digest.empty() ? "computed before it is opened" : markdown_code(digest);
}

std::string opening(const Description& d) {
  std::vector<std::string> targets;
  for (const DescribedFile& file : d.files) targets.push_back(markdown_code(file.target));
  std::string text = fmt::format("This adds {}, converted from the pickled weights of commit {} by depickle {}.",
      listed(targets), markdown_code(d.commit.substr(0, 12)), d.version);
  if (!d.replaced.empty())
    text += fmt::format(" It replaces {}, which named files that do not exist.", listed(coded(d.replaced)));
  text += " Nothing else changes.\n\n";
  const std::string left_out =
      d.skipped.empty() ? "" : fmt::format(", {} left out", plural(d.skipped.size(), "tensor"));
  if (d.identical > 0)
    return text + fmt::format(
                      "**{} of {} are identical to the pickle's{}.** Each new file was read back and compared with its "
                      "source, tensor by tensor. The pickles were parsed, not executed.\n\n",
                      grouped(d.identical), plural(d.tensors, "tensor"), left_out);
  return text +
         fmt::format("{}{}: each is compared with the pickle's, bit for bit, before this pull request is opened.\n\n",
             plural(d.tensors, "tensor"), left_out);
}

std::string table(const Description& d) {
  std::string text = "| file | bytes | sha256 |\n|---|---:|---|\n";
  for (const DescribedFile& file : d.files) {
    text += fmt::format(
        "| {} | {} | {} |\n", markdown_code(file.target), grouped(file.target_bytes), sha(file.target_sha256));
    text += fmt::format(
        "| from {} | {} | {} |\n", markdown_code(file.source), grouped(file.source_bytes), sha(file.source_sha256));
  }
  for (const std::string& index : d.indexes)
    text += fmt::format("| {} | the index of the shards | |\n", markdown_code(index));
  return text + "\n";
}

std::string pickle_content(const NamedInPickles& named) {
  std::string text;
  if (named.findings.empty()) {
    text = named.inert.empty()
               ? ""
               : fmt::format("All globals of the pickles only build tensors and plain containers: {}.\n\n",
                     listed(coded(named.inert)));
  } else {
    text =
        "**Loading the pickles would execute more than the building of tensors** (depickle executed none of it):\n\n";
    for (size_t i = 0; i < std::min(named.findings.size(), kMaxListed); ++i)
      text += fmt::format("- {}\n", markdown_code(named.findings[i]));
    if (named.findings.size() > kMaxListed) text += fmt::format("- and {} more\n", named.findings.size() - kMaxListed);
    text += "\n";
  }
  return text;
}

std::string remarks(const Description& d) {
  std::string text;
  auto line = [&](std::string_view what, const std::vector<std::string>& items) {
    if (!items.empty()) text += fmt::format("- {}: {}\n", what, listed(items));
  };
  std::vector<std::string> tied, skipped_files;
  for (const convert::Tied& names : d.tied)
    tied.push_back(fmt::format("{} is {}", markdown_code(names.name), markdown_code(names.kept)));
  for (const convert::SkippedFile& file : d.skipped_files)
    skipped_files.push_back(fmt::format("{} ({})", markdown_code(file.file.string()), printable(file.reason)));
  line("Tied tensors, stored once", tied);
  line("In the pickles, but not weights", coded(d.unused));
  line("Skipped tensors, which safetensors does not support", coded(d.skipped));
  line("Files that were not converted", skipped_files);
  return text.empty() ? "" : text + "\n";
}

std::string how_to_load(const Description& d) {
  const std::string arguments = fmt::format("\"{}\", revision=\"refs/pr/{}\"", d.repo, d.number);
  std::string lines;
  if (d.is_pipeline) {
    lines = fmt::format(
        "from diffusers import DiffusionPipeline\n\npipeline = DiffusionPipeline.from_pretrained({}, "
        "use_safetensors=True)",
        arguments);
  } else if (d.library.empty() || d.library == "transformers") {
    lines = fmt::format(
        "from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained({}, use_safetensors=True)", arguments);
  } else {
    lines = fmt::format(
        "from huggingface_hub import hf_hub_download\nfrom safetensors.torch import load_file\n\n"
        "tensors = load_file(hf_hub_download(\"{}\", \"{}\", revision=\"refs/pr/{}\"))",
        d.repo, d.files.empty() ? "model.safetensors" : printable(d.files.front().target), d.number);
  }
  return fmt::format(
      "Load it before it is merged:\n\n```python\n{}\n```\n\nVerify every tensor "
      "yourself:\n\n```\ndepickle check {} {}\n```\n",
      lines, d.repo, d.number);
}

std::string folded_receipt(const std::string& receipt) {
  if (receipt.empty() || receipt.size() > kMaxReceiptBytes || receipt.find("```") != receipt.npos) return "";
  return fmt::format("\n<details><summary>Receipt</summary>\n\n```json\n{}\n```\n\n</details>\n", receipt);
}

}  // namespace

std::string markdown_code(std::string_view text) {
  std::string shown = printable(text, 300), code;
  for (char c : shown) {
    if (c == '|') code += '\\';  // ends the cell of a table
    code += c == '`' ? '\'' : c;
  }
  return "`" + code + "`";
}

std::string to_markdown(const Description& description) {
  return opening(description) + table(description) + pickle_content(description.named) + remarks(description) +
         how_to_load(description) + folded_receipt(description.receipt);
}

}  // namespace depickle::repo
