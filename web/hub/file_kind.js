// What a file contains, judged by its name alone. The lists are those of depickle/formats/detect/file_name.cpp.
import { element } from "../shared/dom.js";

const pickleSuffixes = [".bin", ".pt", ".pth", ".ckpt", ".pth.tar", ".pkl", ".pickle", ".ptl", ".joblib"];
const otherSuffixes = [".h5", ".msgpack", ".onnx", ".onnx_data", ".ot", ".tflite", ".gguf", ".ggml", ".pb", ".npz",
  ".npy", ".mlmodel", ".nemo"];
const codeSuffixes = [".py", ".pyc", ".so", ".sh", ".ipynb", ".js", ".dll", ".dylib", ".exe"];

/**
 * @param {string} name in lower case
 * @param {string[]} suffixes
 */
const endsWithAny = (name, suffixes) => suffixes.some((suffix) => name.endsWith(suffix));

/**
 * The format of a weights file; "" if the file is not one.
 * @param {string} path
 * @returns {"safetensors" | "pickle" | "other" | ""}
 */
export function weightsKind(path) {
  const name = path.toLowerCase();
  if (name.endsWith(".safetensors")) return "safetensors";
  if (endsWithAny(name, pickleSuffixes)) return "pickle";
  return endsWithAny(name, otherSuffixes) ? "other" : "";
}

/**
 * Whether opening the file may execute code.
 * @param {string} path
 */
export const mayExecute = (path) =>
  weightsKind(path) === "pickle" || endsWithAny(path.toLowerCase(), codeSuffixes);

const labels = { pickle: "pickle", safetensors: "safetensors", other: "other weights", "": "" };

/**
 * A table cell with the kind. Pickle has no alarm color, because a pickle is harmless until it is loaded.
 * @param {string} path
 */
export function kindCell(path) {
  const kind = weightsKind(path);
  return element(kind === "safetensors" ? "td.kind.good" : kind ? "td.kind" : "td.kind.muted", {}, labels[kind]);
}
