// The route that merges a verified pull request.
#include <fmt/format.h>

#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/hub/client.h"
#include "depickle/hub/discussions.h"
#include "depickle/hub/failure.h"
#include "server/base/json_body.h"
#include "server/page/service.h"

namespace depickle::server::page {
namespace {

// Each merge occupies a worker of the HTTP server, and the embedded Hub needs workers to answer it.
constexpr int kMaxMerges = 4;

struct MergeSlot {
  explicit MergeSlot(std::atomic<int>& count_) : count(count_) {
    if (++count > kMaxMerges) {
      --count;
      throw Error(
          Code::limit, "", fmt::format("too many merges are running (need at most {})", kMaxMerges), {}, "try again");
    }
  }
  ~MergeSlot() { --count; }
  std::atomic<int>& count;
};

std::string read_token(Service& service, const JsonValue& body) {
  std::string token = body["token"].string();
  if (token.empty() && service.settings.is_personal) token = service.account().token;
  if (token.empty())
    throw Error(Code::denied, "", "merging needs a token that may write to the repository", {},
        "enter a token; it is used for this merge only");
  return token;
}

http::Response merge(Service& service, const http::Request& request) {
  const Job job = job_at(service, request);
  const JsonValue body = parse_body(request.body);
  const Merge& merge = job.outcome.merge;
  const hub::RepoId repo = hub::RepoId::parse(job.request.repo);
  auto conflict = [&](std::string message, std::string hint) {
    refuse(409, Code::cancelled, std::move(message), std::move(hint), job.id);
  };
  if (!merge.is_possible)
    conflict(fmt::format("the pull request cannot be merged: {}",
                 merge.why_not.empty() ? "the job has not verified a pull request" : merge.why_not),
        "check the pull request first");
  if (body["confirm"].string() != job.request.repo)
    refuse(422, Code::unsupported, "the name does not match", fmt::format("type {}", job.request.repo), job.id);
  const MergeSlot slot(service.merging);
  const hub::Client client(service.hub_settings(read_token(service, body)));
  const hub::DiscussionDetails before = hub::discussion(client, repo, merge.number);
  if (before.status != hub::DiscussionStatus::open)
    conflict(fmt::format("#{} is {}, not open", merge.number, name(before.status)), "");
  if (client.info(repo, hub::pull_request_revision(merge.number)).commit != merge.head)
    conflict(fmt::format("#{} has changed since it was checked", merge.number), "check it again");
  try {
    hub::merge_pull_request(client, repo, merge.number, merge.head);
  } catch (const hub::Failure& failure) {
    if (!failure.is_conflict()) throw;
    conflict(failure.message(), "check it again");
  }
  const hub::DiscussionDetails after = hub::discussion(client, repo, merge.number);
  service.settings.log(fmt::format("job {}: #{} of {} is merged", job.id, merge.number, job.request.repo));
  std::string json;
  const std::string path = repo.page_path() + "/commit/" + after.merge_commit;
  JsonWriter(json, JsonWriter::Style::compact)
      .object()
      .key("commit")
      .value(after.merge_commit)
      .key("url")
      .value(service.settings.is_embedded ? path : service.settings.hub + path)
      .end();
  return json_response(200, std::move(json));
}

}  // namespace

void add_merge_route(http::Router& router, Service& service) {
  router.add_with_body("POST", "/api/v1/jobs/{id}/merge", api_body_handler(service, merge));
}

}  // namespace depickle::server::page
