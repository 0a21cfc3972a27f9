// The Gradio 4 calls of the public convert Space, which the automatic conversion of transformers uses.
#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "server/base/json_body.h"
#include "server/page/service.h"

namespace depickle::server::page {
namespace {

/// {"data": [model id, private, token]} → {"event_id"}. The token is used for private models and if the server has no
/// account.
http::Response run(Service& service, const http::Request& request) {
  const JsonValue body = parse_body(request.body);
  std::vector<JsonValue> data = body["data"].items();
  data.resize(3);
  const std::optional<std::string> id = data[0].text();
  if (!id) refuse(400, Code::malformed, "\"data\" is not [model id, private, token]");
  const bool is_private = data[1].is_true();
  const std::string token = is_private || service.account().token.empty() ? data[2].string() : "";
  const bool is_plain = token.size() <= 500 && std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; });
  if (!is_plain) refuse(400, Code::malformed, "the token is not valid");
  const Jobs::Added added = service.add(request, JobKind::convert, *id, 0, true, token);
  std::string json;
  JsonWriter(json, JsonWriter::Style::compact).object().key("event_id").value(added.job.id).end();
  return json_response(200, std::move(json));
}

/// Returns the last event. The client expects a failure as a normal completion whose text describes it.
std::string complete(const Job& job, const std::string& origin) {
  std::string text;
  if (job.state == State::done && job.outcome.merge.number) {
    const std::string url = fmt::format("{}/{}/discussions/{}", origin, job.request.repo, job.outcome.merge.number);
    text = fmt::format("### Success \xf0\x9f\x94\xa5\n{} [{}]({})", job.outcome.sentence, url, url);
  } else if (job.state == State::done) {
    text = "### Success\n" + job.outcome.sentence;
  } else {
    text = "### Error\n" + job.outcome.sentence;
    if (job.outcome.problem && !job.outcome.problem->hint.empty()) text += "\n\n" + job.outcome.problem->hint;
  }
  std::string json;
  JsonWriter(json, JsonWriter::Style::compact).array().value(text).end();
  return "event: complete\ndata: " + json + "\n\n";
}

/// Sends a heartbeat for each event of the job, then the completion.
class GradioStream final : public http::EventStream {
 public:
  GradioStream(std::shared_ptr<Channel> channel, std::string origin)
      : channel_(std::move(channel)),
        origin_(std::move(origin)),
        inner_(channel_->stream(0)) {}
  void subscribe(std::function<void()> wake) override { inner_->subscribe(std::move(wake)); }
  bool take(std::string& out) override {
    std::string events;
    const bool more = inner_->take(events);
    if (more) {
      out += "event: heartbeat\ndata: null\n\n";
      return true;
    }
    out += complete(*channel_->ended(), origin_);
    return false;
  }

 private:
  std::shared_ptr<Channel> channel_;
  std::string origin_;
  std::shared_ptr<http::EventStream> inner_;
};

http::Response listen(Service& service, const http::Request& request) {
  const Job job = job_at(service, request);
  const std::string origin = service.settings.is_embedded ? "http://" + request.field("Host") : service.settings.hub;
  if (auto channel = service.jobs.channel(job.id))
    return event_response(std::make_shared<GradioStream>(std::move(channel), origin));
  return event_response(finished_stream(complete(job_at(service, request), origin)));
}

}  // namespace

void add_gradio_routes(http::Router& router, Service& service) {
  for (std::string prefix : {"/call", "/gradio_api/call"}) {
    router.add_with_body("POST", prefix + "/run", api_body_handler(service, run));
    router.add("GET", prefix + "/run/{id}", api_handler(service, listen));
  }
}

}  // namespace depickle::server::page
