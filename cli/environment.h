// The environment variables of huggingface_hub, with the same meaning.
#pragma once

#include <string>

#include "depickle/hub/settings.h"

namespace depickle::cli {

/// Reads HF_ENDPOINT, HF_TOKEN (or the file of `hf auth login`: HF_TOKEN_PATH), HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_HOME,
/// HF_HUB_CACHE, XDG_CACHE_HOME, HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_ETAG_TIMEOUT,
/// SSL_CERT_FILE, HUGGINGFACE_CO_STAGING, and their older names. HF_DEBUG traces requests to stderr. Throws Error{io}
/// if the token's file cannot be read.
hub::Settings hub_settings();

/// Returns the URL of the Hub, without the slash at its end.
std::string hub_endpoint();

/// Returns whether a variable is set to true, as huggingface_hub reads it: 1, ON, YES or TRUE in any case.
bool is_set_to_true(const char* variable);

}  // namespace depickle::cli
