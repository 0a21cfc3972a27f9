#include "server/hub/api/errors.h"

#include <cerrno>

#include <gtest/gtest.h>

#include "depickle/base/error.h"

namespace depickle::server::api {
namespace {

TEST(HubErrors, AFullDiskIsNotAnInternalError) {
  EXPECT_EQ(explain({}, system_error(ENOSPC, "cannot write", "x")).status, 507);
  EXPECT_EQ(explain({}, system_error(EDQUOT, "cannot write", "x")).status, 507);
  EXPECT_EQ(explain({}, system_error(EIO, "cannot write", "x")).status, 500);
}

}  // namespace
}  // namespace depickle::server::api
