"""docs/layouts.md, made from the rows of the tests: `python -m layouts.document` in tests/python prints it."""
import collections
import pathlib

from layouts import frameworks, generation, language, reinforcement, science, speech, vision

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs/layouts.md"
SECTIONS = {
    "Training frameworks": frameworks.MODELS,
    "Image classification": vision.CLASSIFICATION,
    "Detection": vision.DETECTION,
    "Segmentation and pose": vision.SEGMENTATION,
    "Faces, keypoints and similarity": vision.FACES_AND_KEYPOINTS,
    "Depth, flow and 3D": vision.GEOMETRY,
    "GANs": generation.GANS,
    "Diffusion": generation.DIFFUSION,
    "Restoration": generation.RESTORATION,
    "Adapters": generation.ADAPTERS,
    "Speech recognition and speakers": speech.RECOGNITION,
    "Speech synthesis and voice conversion": speech.SYNTHESIS,
    "Audio": speech.AUDIO,
    "Language models": language.LANGUAGE_MODELS,
    "Translation": language.TRANSLATION,
    "Vision and language": language.VISION_AND_LANGUAGE,
    "Reinforcement learning": reinforcement.AGENTS,
    "Games": reinforcement.GAMES,
    "Science": science.ROWS,
    "Files of training state": frameworks.TRAINING_STATE,
}
ROWS = [row for rows in SECTIONS.values() for row in rows]

INTRODUCTION = f"""# Checkpoint layouts

How projects store their models, which part depickle takes, and which names the tensors get. The rules are in
[formats/torch.md](formats/torch.md#names). Each row is a test: it builds the file with torch as the
project does (optimizers after a step, modules and objects of the project's classes, the same container) with a few
small tensors, converts it, and compares the part, the names, the bits and what is unused
(`tests/python/test_layouts.py`). The tables are printed by `python -m layouts.document` in `tests/python`.

- **Part**: the part that is taken. *Whole file*: the file is a state dict, or a tree of them. *Question*: several parts
  could be the model. The error lists them, and `--root` chooses. The part that the project's own code loads for
  inference is in **bold** if there are several. *Not a model*: the file contains only training state, and is not
  converted.
- **Names**: the names in the safetensors file, as `depickle` writes them, for some tensors of the real file.
  `a.{{b,c}}` stands for `a.b` and `a.c`. Prefixes such as `module.` and `_orig_mod.` stay, as the project's own loader
  expects or removes them.
- **Unused**: what else the file contains. It is listed in the report.
"""


def code(texts):
    return ", ".join(f"`{text}`" for text in texts).replace("|", "\\|")


def part(row):
    if row.part is None:
        return "not a model"
    if row.candidates:
        shown = [f"**`{name}`**" if name == row.part else f"`{name}`" for name in row.candidates.split()]
        choice = ", or `--root .`" if row.part == "." else ""
        return f"question: {', '.join(shown)}{choice}"
    if row.taken:
        return f"`{row.taken}`; the project loads **`{row.part}`**"
    return f"`{row.part}`" if row.part else "whole file"


def line(row, folder):
    unused = [] if row.part is None else row.make(folder / "checkpoint")[1]
    names = [] if row.part is None else row.shown_names.split()
    cells = [row.project, f"`{row.file}`", row.source, part(row), code(names), code(unused)]
    return f"| {' | '.join(cells)} |"


def document(folder):
    """Returns the text of docs/layouts.md. Writes the checkpoints into `folder`."""
    projects = collections.Counter(row.source.split(",")[0] for row in ROWS)
    text = f"{INTRODUCTION}\n{len(ROWS)} files of {len(projects)} projects.\n"
    for title, rows in SECTIONS.items():
        text += f"\n## {title}\n\n| project | file | source | part | names | unused |\n|---|---|---|---|---|---|\n"
        text += "".join(line(row, folder) + "\n" for row in rows)
    return text


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        print(document(pathlib.Path(temporary)), end="")
