// Removes unfinished uploads.
#pragma once

#include "server/hub/content/context.h"

namespace depickle::server::content {

/// Removes uploads in parts that were not continued for a week. Safe while uploads run.
void remove_expired_parts(const Context& context);

}  // namespace depickle::server::content
