#include "depickle/repo/engine.h"

namespace depickle::repo {
namespace {

class LocalEngine final : public Engine {
 public:
  std::optional<convert::FileReport> convert_model(const weights::Model& source, const convert::MakeTarget& make_target,
      const convert::EngineOptions& options) override {
    return base_.convert_model(source, make_target, options);
  }
  convert::Comparison compare_models(
      const weights::Model& a, const weights::Model& b, const convert::CompareModelsOptions& options) override {
    return base_.compare_models(a, b, options);
  }
  scan::Scan scan_file(std::shared_ptr<const ByteSource> file) override { return base_.scan_file(std::move(file)); }
  convert::TableSummary summarize(const weights::Model& model, const convert::SummaryOptions& options) override {
    return base_.summarize(model, options);
  }
  void check_model(Check& check, const ModelPair& pair, const safetensors::Index* index, const OpenFile& open_before,
      const OpenFile& open_after, const CheckOptions& options) override {
    repo::check_model(check, pair, index, open_before, open_after, options);
  }

 private:
  convert::Engine& base_ = convert::local_engine();
};

}  // namespace

Engine& local_engine() noexcept {
  static LocalEngine engine;
  return engine;
}

}  // namespace depickle::repo
