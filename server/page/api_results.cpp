// Routes for the results of jobs: tensor table, receipt, report, files.
#include <algorithm>

#include <fmt/format.h>

#include "depickle/hub/address.h"
#include "server/page/service.h"

namespace depickle::server::page {
namespace {

constexpr const char* kReceipt = "receipt.json";

/// Marks a response as a download. Replaces the characters of `name` that would end the quoted string.
http::Response& attach(http::Response& response, std::string name) {
  std::ranges::replace_if(
      name, [](char c) { return c == '"' || c == '\\' || c == '/' || static_cast<unsigned char>(c) >= 0x7f; }, '_');
  response.with("Content-Disposition", fmt::format("attachment; filename=\"{}\"", name));
  return response.with("Content-Security-Policy", "sandbox; default-src 'none'");
}

http::Response tensors(Service& service, const http::Request& request) {
  const Job job = job_at(service, request);
  TensorQuery query;
  query.offset = number_of(request, "offset", 0, 0, 1'000'000'000);
  query.limit = number_of(request, "limit", 200, 1, 1000);
  query.sort = request.query("sort").value_or("position");
  const std::string order = request.query("order").value_or("asc");
  if (order != "asc" && order != "desc") refuse(400, Code::malformed, "order is not asc or desc");
  query.descending = order == "desc";
  query.filter = request.query("filter").value_or("");
  auto letters = std::ranges::count_if(query.filter, [](char c) { return (c & 0xc0) != 0x80; });
  if (letters > 200)
    refuse(400, Code::malformed, fmt::format("the filter is too long (have {} characters, need at most 200)", letters));
  return json_response(200, service.tensors.page(job.sequence, query));
}

/// `path` is below the folder of the job, whose files its process has written.
http::Response file_at(
    const Service& service, const http::Request& request, const Job& job, const std::string& path, std::string name) {
  std::shared_ptr<const http::OpenFile> file;
  try {
    file = http::OpenFile::open_beneath(job_folder(service.settings, job.id).string(), path);
  } catch (const Error&) {
    refuse(404, Code::not_found, "the job has no such file", "results are deleted some time after the job has ended");
  }
  http::Response response;
  response.with("Content-Type", path == kReceipt ? "application/json" : "application/octet-stream")
      .with("Cache-Control", "no-store")
      .with("X-Content-Type-Options", "nosniff");
  attach(response, std::move(name));
  const uint64_t size = file->size_bytes();
  response.body = http::FileRange{std::move(file), 0, size};
  return http::ranged(request, std::move(response));
}

std::string base_name(const Job& job) { return job.request.repo.substr(job.request.repo.find('/') + 1); }

http::Response receipt(Service& service, const http::Request& request) {
  const Job job = job_at(service, request);
  return file_at(service, request, job, kReceipt, base_name(job) + "-receipt.json");
}

http::Response report(Service& service, const http::Request& request) {
  const Job job = job_at(service, request);
  http::Response response = json_response(200, to_json(job, true));
  return std::move(attach(response, base_name(job) + "-" + std::string(name(job.request.kind)) + ".json"));
}

http::Response file(Service& service, const http::Request& request) {
  const Job job = job_at(service, request);
  const std::string& path = request.captured("path");
  try {
    hub::check_repo_path(path);  // rejects paths that leave the folder
  } catch (const Error&) {
    refuse(404, Code::not_found, "the job has no such file");
  }
  if (job.state != State::done) refuse(404, Code::not_found, "the job is not done");
  return file_at(service, request, job, "files/" + path, path.substr(path.rfind('/') + 1));
}

}  // namespace

void add_result_routes(http::Router& router, Service& service) {
  router.add("GET", "/api/v1/jobs/{id}/tensors", api_handler(service, tensors), http::Work::slow);
  router.add("GET", "/api/v1/jobs/{id}/receipt", api_handler(service, receipt));
  router.add("GET", "/api/v1/jobs/{id}/report", api_handler(service, report));
  router.add("GET", "/api/v1/jobs/{id}/files/{path:path}", api_handler(service, file), http::Work::slow);
}

}  // namespace depickle::server::page
