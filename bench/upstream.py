"""The converter of safetensors: `convert_file` of convert.py in its source distribution, which bench/run downloads."""

import importlib.util
import pathlib
import sys

PEERS = pathlib.Path(__file__).parents[1] / "build/bench-peers"
CONVERT = next(PEERS.glob("safetensors-*/bindings/python/convert.py"))

_spec = importlib.util.spec_from_file_location("upstream_convert", CONVERT)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
convert_file = _module.convert_file

if __name__ == "__main__":
    convert_file(*sys.argv[1:], [])
