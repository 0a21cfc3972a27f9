# Writes a C++ source that contains web/openapi.json: cmake -DFILE=… -DOUT=openapi.cpp -P openapi.cmake
file(READ ${FILE} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include \"server/page/openapi.h\"

namespace depickle::server::page {
namespace {
const unsigned char kText[] = {${bytes}};
}  // namespace

std::string_view openapi_json() noexcept { return {reinterpret_cast<const char*>(kText), sizeof kText}; }

}  // namespace depickle::server::page
")
