// What a file contains, judged by its name alone.
import { element } from "../shared/dom.js";

const pickleSuffixes = [".bin", ".pt", ".pth", ".ckpt", ".pth.tar", ".pkl", ".pickle", ".ptl", ".joblib"];
const otherSuffixes = [".gguf", ".onnx", ".h5", ".msgpack", ".tflite", ".npz", ".npy", ".ot", ".mlmodel"];

/**
 * The format of a weights file; "" if the file is not one.
 * @param {string} path
 * @returns {"safetensors" | "pickle" | "other" | ""}
 */
export function weightsKind(path) {
  const name = path.toLowerCase();
  if (name.endsWith(".safetensors")) return "safetensors";
  if (pickleSuffixes.some((suffix) => name.endsWith(suffix))) return "pickle";
  return otherSuffixes.some((suffix) => name.endsWith(suffix)) ? "other" : "";
}

/**
 * Whether opening the file may execute code.
 * @param {string} path
 */
export const mayExecute = (path) => weightsKind(path) === "pickle" || /\.(py|sh|ipynb)$/i.test(path);

const labels = { pickle: "pickle", safetensors: "safetensors", other: "other weights", "": "" };

/**
 * A table cell with the kind. Pickle has no alarm color, because a pickle is harmless until it is loaded.
 * @param {string} path
 */
export function kindCell(path) {
  const kind = weightsKind(path);
  return element(kind === "safetensors" ? "td.kind.good" : kind ? "td.kind" : "td.kind.muted", {}, labels[kind]);
}
