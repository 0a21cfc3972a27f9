# Writes a C++ source with the files of a folder, each as an array of bytes (g++ 12 has no #embed).
# Usage: cmake -DFOLDER=web -DOUT=files.cpp -P embed.cmake
file(GLOB_RECURSE names LIST_DIRECTORIES false RELATIVE ${FOLDER}
  ${FOLDER}/*.html ${FOLDER}/*.css ${FOLDER}/*.js ${FOLDER}/*.svg)
list(SORT names)
set(arrays "")
set(entries "")
set(number 0)
foreach(name IN LISTS names)
  file(READ ${FOLDER}/${name} hex HEX)
  file(SHA256 ${FOLDER}/${name} digest)
  string(SUBSTRING ${digest} 0 16 digest)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  set(array kFile${number})
  string(APPEND arrays "const unsigned char ${array}[] = {${bytes}0};\n")
  string(APPEND entries "    {\"${name}\", \"\\\"${digest}\\\"\", "
    "{reinterpret_cast<const char*>(${array}), sizeof ${array} - 1}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "#include \"server/web/files.h\"

namespace depickle::server::web {
namespace {
${arrays}const File kFiles[] = {
${entries}};
}  // namespace

std::span<const File> files() noexcept { return kFiles; }

}  // namespace depickle::server::web
")
