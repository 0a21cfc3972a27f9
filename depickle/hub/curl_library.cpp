#include "depickle/hub/curl_library.h"

#include <dlfcn.h>

#include <filesystem>
#include <new>
#include <string>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle::hub {
namespace {

std::string last_error() {
  const char* text = ::dlerror();
  return text ? text : "unknown error";
}

// The Python package contains its own libcurl, and beside the program an empty library that is linked to it.
void* open_library() {
  std::error_code unknown;
  const auto bundled = std::filesystem::read_symlink("/proc/self/exe", unknown).replace_filename("libdepickle_curl.so");
  if (void* library = ::dlopen(bundled.c_str(), RTLD_NOW)) return library;
  if (void* library = ::dlopen("libcurl.so.4", RTLD_NOW)) return library;
  throw Error(Code::unsupported, "", fmt::format("cannot load libcurl: {}", last_error()), {},
      "install libcurl (on Debian: the package libcurl4)");
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (!function)
    throw Error(Code::unsupported, "", fmt::format("libcurl is too old: {}", last_error()), {},
        "install libcurl 7.85 or newer");
}

CurlLibrary load() {
  void* library = open_library();  // never closed
  CurlLibrary curl{};
  find(library, "curl_global_init", curl.global_init);
  find(library, "curl_free", curl.free);
  find(library, "curl_easy_init", curl.easy_init);
  find(library, "curl_easy_cleanup", curl.easy_cleanup);
  find(library, "curl_easy_reset", curl.easy_reset);
  find(library, "curl_easy_setopt", curl.easy_setopt);
  find(library, "curl_easy_getinfo", curl.easy_getinfo);
  find(library, "curl_easy_strerror", curl.easy_strerror);
  find(library, "curl_multi_init", curl.multi_init);
  find(library, "curl_multi_cleanup", curl.multi_cleanup);
  find(library, "curl_multi_add_handle", curl.multi_add_handle);
  find(library, "curl_multi_remove_handle", curl.multi_remove_handle);
  find(library, "curl_multi_perform", curl.multi_perform);
  find(library, "curl_multi_poll", curl.multi_poll);
  find(library, "curl_multi_info_read", curl.multi_info_read);
  find(library, "curl_slist_append", curl.slist_append);
  find(library, "curl_slist_free_all", curl.slist_free_all);
  find(library, "curl_url", curl.url);
  find(library, "curl_url_cleanup", curl.url_cleanup);
  find(library, "curl_url_get", curl.url_get);
  find(library, "curl_url_set", curl.url_set);
  if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::bad_alloc();
  return curl;
}

}  // namespace

const CurlLibrary& curl() {
  static const CurlLibrary library = load();
  return library;
}

}  // namespace depickle::hub
