# What ./run and ./test share: packages from apt, virtual environments, builds. Sourced at the root of the tree.
# All messages go to stderr; stdout belongs to the program.

say() { printf '%s\n' "$*" >&2; }

# Debian packages that a build of the program needs. TOOL:PACKAGE counts as installed if the tool runs.
kBuildPackages=(g++:g++ cmake:cmake ninja:ninja-build libfmt-dev libsimdjson-dev libssl-dev zlib1g-dev libcli11-dev
  libcurl4-openssl-dev libseccomp-dev libgit2-dev libboost1.81-dev libsqlite3-dev liblz4-dev
  libcmark-gfm-dev libcmark-gfm-extensions-dev git:git)
# What the tests need beyond that.
kTestPackages=(pkg-config:pkg-config clang-format-19:clang-format-19 ccache:ccache python3:python3 libgtest-dev
  libgmock-dev git-lfs:git-lfs chromium-headless-shell tsc:node-typescript mandoc)

# What ./test --all needs beyond that.
kAllTestsPackages=(clang-tidy-19:clang-tidy-19)

is_installed() {
  if [[ $1 == *:* ]]; then
    "${1%%:*}" --version >/dev/null 2>&1
  else
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
  fi
}

# install_packages PACKAGE...: prints which packages are missing and installs them.
install_packages() {
  local package missing=() as_root=()
  for package in "$@"; do is_installed "$package" || missing+=("${package#*:}"); done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $(id -u) -ne 0 ]]; then
    as_root=(sudo)
    if ! command -v sudo >/dev/null; then
      say "error: Debian packages are missing: ${missing[*]}"
      say "hint: as root: apt-get install ${missing[*]}"
      return 1
    fi
  fi
  say "installing Debian packages${as_root[0]:+ through sudo}: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq >&2 || return
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# prepare_venv DIR REQUIREMENTS: creates a virtual environment. The lines of the file are installed one by one: torch is
# first, with its exact version, because a dependency of another package would install a build with CUDA.
prepare_venv() {
  local requirements=$2 line
  cmp -s "$requirements" "$1/installed.txt" && return
  say "installing Python packages into $1: $(tr '\n' ' ' <"$requirements")"
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv || return
  python3 -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null ||
    install_packages python3-dev || return
  [[ -x $1/bin/python ]] || python3 -m venv "$1" >&2 || return
  while read -r line; do
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check "$line" >&2 || return
  done <"$requirements"
  cp "$requirements" "$1/installed.txt"
}

# use_ccache: builds use ccache if it is installed. Paths below the tree are made relative, so that the wheel, which is
# built from a copy of the sources, finds the objects of the release build.
use_ccache() {
  command -v ccache >/dev/null || return 0
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
  export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
}

# build PRESET [OPTION...]: configures with cmake's OPTIONs and builds. The time of build/PRESET/built is the start of
# the last successful build.
build() {
  local preset=$1
  shift
  say "building the $preset preset"
  mkdir -p "build/$preset"
  touch "build/$preset/started"
  use_ccache
  local log=build/$preset/configure.log
  cmake --preset "$preset" "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
  cmake --build --preset "$preset" >&2 && mv "build/$preset/started" "build/$preset/built"
}
