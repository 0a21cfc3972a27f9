// depickle verify: verifies a receipt.
#include "depickle/convert/verify.h"

#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "cli/sandbox.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"

namespace depickle::cli {
namespace {

struct VerifyCommand {
  std::string receipt;
  bool json = false;
};

void print_json(const Console& console, const convert::Verification& verification) {
  std::string out;
  JsonWriter json(out);
  json.object()
      .key("schema")
      .value("depickle.verify/1")
      .key("proven")
      .value(verification.passed())
      .key("files")
      .value(verification.files)
      .key("tensors")
      .value(verification.tensors);
  json.key("flaws").array();
  for (const convert::Mismatch& flaw : verification.mismatches)
    json.object().key("file").value(flaw.file).key("tensor").value(flaw.tensor).key("what").value(flaw.what).end();
  json.end().key("notes").array();
  for (const std::string& note : verification.notes) json.value(note);
  json.end().end();
  console.out(out);
}

void print_text(const Console& console, const convert::Verification& verification) {
  if (verification.passed())
    console.out(
        console.painted(Color::green, fmt::format("The receipt is valid: {}, {}.", plural(verification.files, "file"),
                                          plural(verification.tensors, "tensor"))) +
        "\n");
  if (!verification.passed()) console.out(console.painted(Color::red, "The receipt is not valid.") + "\n");
  for (const convert::Mismatch& flaw : verification.mismatches)
    console.out(fmt::format("differs  {}{}: {}\n", printable(flaw.file),
        flaw.tensor.empty() ? "" : ", tensor " + quoted(flaw.tensor), printable(flaw.what)));
  for (const std::string& note : verification.notes) console.out(fmt::format("note     {}\n", printable(note)));
}

}  // namespace

void add_verify(CLI::App& app, Program& program) {
  auto options = std::make_shared<VerifyCommand>();
  CLI::App* command = app.add_subcommand("verify", "Verify a receipt: the digests of all files and tensors");
  command->add_option("RECEIPT", options->receipt, "A file that `depickle convert --receipt` wrote")->required();
  command->add_flag("--json", options->json, "Print one JSON object");
  add_sandbox_option(*command, program);
  command->callback([options, &program] {
    program.run = [options, &program] {
      ProgressBar bar(program.console, false);
      const convert::Verification verification =
          convert::verify(local_path(options->receipt), {.progress = bar.listener(), .engine = &file_engine(program)});
      bar.clear();
      options->json ? print_json(program.console, verification) : print_text(program.console, verification);
      return verification.passed() ? kYes : kNo;
    };
  });
}

}  // namespace depickle::cli
