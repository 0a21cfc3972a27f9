// The environment variables of huggingface_hub, read as it reads them.
#pragma once

#include "depickle/hub/settings.h"

namespace depickle::cli {

/// HF_ENDPOINT, HF_TOKEN (or the file that `hf auth login` wrote: HF_TOKEN_PATH), HF_HUB_DISABLE_IMPLICIT_TOKEN,
/// HF_HOME,
/// HF_HUB_CACHE, XDG_CACHE_HOME, HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT, SSL_CERT_FILE, HUGGINGFACE_CO_STAGING,
/// and the
/// older spellings. HF_DEBUG traces requests to stderr. Throws Error{io} where the token's file cannot be read.
hub::Settings hub_settings();

/// Whether a variable says yes, as huggingface_hub takes it: 1, ON, YES or TRUE in any case.
bool environment_says(const char* variable);

}  // namespace depickle::cli
