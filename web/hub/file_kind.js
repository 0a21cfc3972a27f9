// What a file is, by its name alone: weights in pickle, in safetensors, in another format, or something else. What is inside, Inspect tells.
import { element } from "../shared/dom.js";


const kPickle = [".bin", ".pt", ".pth", ".ckpt", ".pth.tar", ".pkl", ".pickle", ".ptl", ".joblib"];
const kOther = [".gguf", ".onnx", ".h5", ".msgpack", ".tflite", ".npz", ".npy", ".ot", ".mlmodel"];

/** @returns {"safetensors"|"pickle"|"other"|""} */
export function weightsKind(path) {
  const name = path.toLowerCase();
  if (name.endsWith(".safetensors")) return "safetensors";
  if (kPickle.some((ending) => name.endsWith(ending))) return "pickle";
  return kOther.some((ending) => name.endsWith(ending)) ? "other" : "";
}

/** The word for a kind, as a table says it. */
export const kindWord = (path) => ({ pickle: "pickle", safetensors: "safetensors", other: "other weights" })[weightsKind(path)] ?? "";

/** A cell that says so. Pickle is a fact about a file, not an alarm: only its opening would run something. */
export function kindCell(path) {
  const kind = weightsKind(path);
  return element(kind === "safetensors" ? "td.kind.good" : kind ? "td.kind" : "td.kind.quiet", {}, kindWord(path));
}
